//! What a topic model starts from, by its training documents.

use crate::data::{Corpus, Document};
use crate::error::Result;
use crate::models::TopicsStart;
use crate::topic_metrics::{Clusters, Merged};
use tch::{Device, Kind, Tensor};

/// Documents that are grouped, at most: groups of more are no better, and grouping takes longer than an epoch.
const GROUPED: usize = 20_000;

/// Share of the corpus' own frequencies in the words of a group at the start: no word is impossible in a topic.
const SMOOTHING: f64 = 0.01;

/// Without a look at documents: uniform words, no directions; of the right shapes, to be overwritten by a checkpoint.
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

/// From groups of the training documents with these numbers, and from no others: what a model starts from, its
/// validation must not know.
pub(super) fn of_corpus(
    corpus: &Corpus,
    numbers: &[usize],
    topics: &[i64],
    seed: u64,
    device: Device,
) -> Result<TopicsStart> {
    let words = corpus.vocabulary.len();
    let documents = numbers.len();
    // Half a token more of each word: none is impossible.
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
    let step = documents.div_ceil(GROUPED).max(1);
    let grouped = numbers.iter().step_by(step).map(|&number| corpus.train.get(number));
    let grouped: Vec<Document> = grouped.collect::<Result<_>>()?;
    let clusters = Clusters::of_documents(&grouped, words, topics[0] as usize, seed)?;

    let flat: Vec<f64> = clusters.counts.iter().flatten().copied().collect();
    let counts = Tensor::from_slice(&flat).reshape([topics[0], words as i64]);
    let frequencies = Tensor::from_slice(&frequencies) / total;
    // Groups without documents have the words of all.
    let sizes = counts.sum_dim_intlist(-1, true, None::<Kind>).clamp_min(1.0);
    let of_groups = &counts + &frequencies * &sizes * SMOOTHING;
    let of_groups = &of_groups / of_groups.sum_dim_intlist(-1, true, None::<Kind>);

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
        topics: float(of_groups.tr()),
        directions: directions.iter().map(matrix).collect(),
        groups,
    })
}
