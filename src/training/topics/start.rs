//! Initialises a topic model from its training documents.

use crate::data::{Corpus, Document};
use crate::error::Result;
use crate::models::TopicsStart;
use crate::topic_metrics::{Clusters, Merged};
use tch::{Device, Kind, Tensor};

/// The most documents that are clustered. More do not improve the clusters, and clustering them takes longer than an
/// epoch.
const MAX_CLUSTERED: usize = 20_000;

/// The weight of the corpus frequencies in the initial words of a topic, so that no word has probability zero.
const SMOOTHING: f64 = 0.01;

/// Returns initial values of the right shapes without reading documents: uniform words, no directions. A checkpoint
/// overwrites them.
pub(in crate::training) fn blank(words: i64, topics: &[i64], device: Device) -> TopicsStart {
    let float = (Kind::Float, device);
    TopicsStart {
        frequencies: Tensor::full([words], 1.0 / words as f64, float),
        idf: Tensor::ones([words], float),
        documents: Tensor::zeros([words], float),
        length: 1.0,
        topics: Tensor::full([words, topics[0]], 1.0 / words as f64, float),
        directions: topics.iter().map(|&topics| Tensor::zeros([words, topics], float)).collect(),
        groups: topics.windows(2).map(|pair| Tensor::zeros([pair[1], pair[0]], float)).collect(),
    }
}

/// Clusters the training documents with these indices, and returns the initial values of the model. Validation
/// documents must not be among them.
pub(super) fn from_corpus(
    corpus: &Corpus,
    numbers: &[usize],
    topics: &[i64],
    seed: u64,
    device: Device,
) -> Result<TopicsStart> {
    let words = corpus.vocabulary.len();
    let documents = numbers.len();
    // Half a token more of each word, so that none has frequency zero.
    let (mut frequencies, mut holders, mut tokens) = (vec![0.5; words], vec![0.0; words], 0.0);
    for &number in numbers {
        for (word, count) in corpus.train.get(number)? {
            frequencies[word as usize] += f64::from(count);
            holders[word as usize] += 1.0;
            tokens += f64::from(count);
        }
    }
    let total: f64 = frequencies.iter().sum();
    let idf: Vec<f64> = holders.iter().map(|&holders: &f64| (documents as f64 / holders.max(1.0)).ln()).collect();
    let step = documents.div_ceil(MAX_CLUSTERED).max(1);
    let grouped = numbers.iter().step_by(step).map(|&number| corpus.train.get(number));
    let grouped: Vec<Document> = grouped.collect::<Result<_>>()?;
    let clusters = Clusters::of_documents(&grouped, words, topics[0] as usize, seed)?;

    let flat: Vec<f64> = clusters.counts.iter().flatten().copied().collect();
    let counts = Tensor::from_slice(&flat).reshape([topics[0], words as i64]);
    let frequencies = Tensor::from_slice(&frequencies) / total;
    // Clusters without documents get the words of the whole corpus.
    let sizes = counts.sum_dim_intlist(-1, true, None::<Kind>).clamp_min(1.0);
    let topic_words = &counts + &frequencies * &sizes * SMOOTHING;
    let topic_words = &topic_words / topic_words.sum_dim_intlist(-1, true, None::<Kind>);

    let (mut directions, mut sizes) = (vec![clusters.directions()], clusters.sizes());
    let mut groups = Vec::new();
    for (l, &above) in topics.iter().enumerate().skip(1) {
        let merged = Merged::of_directions(&directions[l - 1], &sizes, above as usize);
        let group: Vec<i64> = merged.group.iter().map(|&group| group as i64).collect();
        groups.push(Tensor::from_slice(&group).one_hot(above).tr().to_kind(Kind::Float).to_device(device));
        directions.push(merged.directions);
        sizes = merged.sizes;
    }
    let matrix = |rows: &Vec<Vec<f32>>| {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        Tensor::from_slice(&flat).reshape([rows.len() as i64, words as i64]).tr().to_device(device)
    };
    let float = |tensor: Tensor| tensor.to_kind(Kind::Float).to_device(device);
    Ok(TopicsStart {
        frequencies: float(frequencies),
        idf: float(Tensor::from_slice(&idf)),
        documents: float(Tensor::from_slice(&holders)),
        length: tokens / documents.max(1) as f64,
        topics: float(topic_words.tr()),
        directions: directions.iter().map(matrix).collect(),
        groups,
    })
}
