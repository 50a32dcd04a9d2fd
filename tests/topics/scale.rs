//! A step of training a topic model against its formula written out over the whole vocabulary; and what the sample of a large vocabulary does to it.

use crate::common::{close, doubles, seeded};
use gengs::models::{
    BagOfWordsBatch, Family, Inference, Likelihood, TopicModel, TopicsConfig, TopicsElbo, TopicsStart,
};
use gengs::nn::{Adam, Rows};
use gengs::prelude::*;
use gengs::sampler::{NoiseKey, OnePass};
use gengs::training::{
    Control, Session, TopicsTask, TopicsTrainConfig, TrainedTopics, evaluate_documents, evaluate_topics,
};
use std::collections::BTreeMap;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

const WORDS: i64 = 200;

/// A vocabulary that is too large to be looked at whole, by a little: a step samples 10 words.
const LARGE: i64 = 160;
const LIKELIHOODS: [Likelihood; 3] = [Likelihood::Poisson, Likelihood::Multinomial, Likelihood::LogLinear];
const KEY: NoiseKey = NoiseKey { seed: 5, step: 7, first_row: 0 };

fn config(likelihood: Likelihood, vocabulary_sample: i64) -> TopicsConfig {
    TopicsConfig {
        words: WORDS,
        topics: vec![4, 2],
        family: Family::Poisson,
        inference: Inference::Explicit,
        likelihood,
        atoms: 6,
        prior: 1.0,
        hidden: 5,
        dropout: 0.0,
        word_dropout: 0.0,
        gain: 2.0,
        vocabulary_sample,
    }
}

/// A model whose parameters are far from their start, the same at every call after the same seed.
fn model(config: &TopicsConfig) -> (VarStore, TopicModel) {
    tch::manual_seed(3);
    let float = (Kind::Float, Device::Cpu);
    let (words, topics) = (config.words, &config.topics);
    let positive = |size: &[i64]| {
        let x = Tensor::rand(size, float) + 0.1;
        &x / x.sum_dim_intlist(0, true, None::<Kind>)
    };
    let start = TopicsStart {
        frequencies: positive(&[words]),
        documents: Tensor::arange(words, float).remainder(40.0),
        idf: Tensor::rand([words], float) + 0.5,
        length: 20.0,
        topics: positive(&[words, topics[0]]),
        directions: topics.iter().map(|&topics| Tensor::randn([words, topics], float) * 0.3).collect(),
        groups: topics.windows(2).map(|pair| Tensor::eye(pair[0], float).narrow(0, 0, pair[1])).collect(),
    };
    let store = VarStore::new(Device::Cpu);
    let model = TopicModel::new(&store.root(), config, &start).unwrap();
    let _guard = tch::no_grad_guard();
    for (_, mut variable) in BTreeMap::from_iter(store.variables()) {
        if variable.requires_grad() {
            variable += variable.randn_like() * 0.2;
        }
    }
    (store, model)
}

/// Documents, of the first `words` words. A word is in sixteen documents, but for the last `rare` ones, which are in one to four each.
fn bags(words: u32, rare: u32) -> BagOfWordsBatch {
    const DOCUMENTS: u32 = 24;
    let in_document = |w: u32, d: u32| {
        if w < words - rare { !(w + d).is_multiple_of(3) } else { (d + DOCUMENTS - w % DOCUMENTS) % DOCUMENTS <= w % 4 }
    };
    let documents: Vec<Vec<(u32, u32)>> = (0..DOCUMENTS)
        .map(|d| (0..words).filter(|&w| in_document(w, d)).map(|w| (w, 1 + (w * d) % 4)).collect())
        .collect();
    BagOfWordsBatch::from_documents(&documents, Device::Cpu)
}

/// `[B, V]`.
fn dense(bags: &BagOfWordsBatch) -> Tensor {
    let places = &bags.rows * WORDS + &bags.words;
    let zeros = Tensor::zeros([bags.len() * WORDS], (Kind::Float, Device::Cpu));
    zeros.index_add(0, &places, &bags.counts).reshape([bags.len(), WORDS])
}

fn sum(x: &Tensor, dim: i64) -> Tensor {
    x.sum_dim_intlist(dim, false, None::<Kind>)
}

fn elbo(model: &TopicModel, bags: &BagOfWordsBatch) -> TopicsElbo {
    model.relaxed_elbo(bags, 0.5, Forward::Soft, KEY).unwrap()
}

fn loss(elbo: &TopicsElbo) -> Tensor {
    let kl = Tensor::stack(&elbo.kl, 0).sum(None::<Kind>);
    (elbo.reconstruction.sum(None::<Kind>) + kl) / 7.0 + &elbo.weight_penalty * 0.01 + &elbo.overlap
}

/// Gradients of a loss in all parameters by name, those of rows put into tables.
fn gradients(store: &VarStore, elbo: &TopicsElbo) -> BTreeMap<String, Tensor> {
    let variables: BTreeMap<String, Tensor> =
        store.variables().into_iter().filter(|(_, variable)| variable.requires_grad()).collect();
    let whole = variables.iter().filter(|(name, _)| elbo.rows.iter().all(|rows| rows.name != **name));
    let (names, mut inputs): (Vec<&String>, Vec<&Tensor>) = whole.unzip();
    inputs.extend(elbo.rows.iter().map(|rows| &rows.leaf));
    let mut found = Tensor::run_backward(&[loss(elbo)], &inputs, false, false).into_iter();
    let mut gradients: BTreeMap<String, Tensor> = names.into_iter().cloned().zip(found.by_ref()).collect();
    for (rows, gradient) in elbo.rows.iter().zip(found) {
        let table = gradients.entry(rows.name.clone());
        let table = table.or_insert_with(|| variables[&rows.name].detach().zeros_like());
        let _ = table.index_add_(0, &rows.indices, &rows.gradient(&gradient).unwrap());
    }
    gradients
}

/// The same by the formulas, with every word of every document.
fn written_out(store: &VarStore, likelihood: Likelihood, x: &Tensor) -> TopicsElbo {
    let variables = store.variables();
    let v = |name: &str| &variables[name];
    let hidden = 5;
    let softplus_inverse = |mean: f64| mean.exp_m1().ln();
    let norm = |name: &str, x: &Tensor| {
        let centred = x - x.mean_dim(0, true, None::<Kind>);
        let variance = centred.square().mean_dim(0, true, None::<Kind>);
        centred / (variance + 1e-5).sqrt() * v(&format!("{name}.weight")) + v(&format!("{name}.bias"))
    };
    let linear = |name: &str, x: &Tensor| x.matmul(&v(&format!("{name}.weight")).tr()) + v(&format!("{name}.bias"));
    let weights = x.log1p();
    let sums = weights.matmul(v("encoder.embedding.weight"));
    let lengths = sum(&(&weights * v("encoder.idf")).square(), -1).sqrt().unsqueeze(-1);
    let tokens = sum(x, -1).unsqueeze(-1);
    let telling = &tokens / (&tokens + v("encoder.gate").exp());
    let mut h = (sums.narrow(-1, 0, hidden) + v("encoder.bias")).relu();
    let mut tilts = Vec::new();
    for (l, (from, topics)) in [(0, 4), (4, 2)].into_iter().enumerate() {
        let name = |part: &str| format!("encoder.{l}.{part}");
        h = linear(&name("hidden"), &h).relu();
        let directions = sums.narrow(-1, hidden + from, topics) / &lengths;
        let tilt =
            norm(&name("norm"), &linear(&name("output"), &h)) + norm(&name("direction_norm"), &directions) * &telling;
        tilts.push(tilt);
    }
    let draw = |l: u64, tilt: Tensor| {
        let law = Poisson::new(&((tilt + softplus_inverse(1.0)).softplus() + 1e-6)).unwrap();
        let seed = KEY.seed + l * 0x9e37_79b9_7f4a_7c15;
        let draw = OnePass::new(0, 5, 0.5).unwrap().rsample(&law, NoiseKey { seed, ..KEY }).unwrap().z;
        (TruncatedDistribution::new(&law, &Truncation::right(6).allow_low_mass()).unwrap(), draw)
    };
    let rate = |name: &str, own: f64| (v(name) + softplus_inverse(own)).softplus() + 1e-6;
    let (upper_posterior, upper) = draw(1, tilts.remove(1));
    let lower = upper.matmul(&v("topics.0.weight").exp()) + rate("topics.0.bias", 0.5);
    // In so far as the document is silent, the tilt is counted from what the counts above make of those below.
    let (posterior, lowest) =
        draw(0, tilts.remove(0) + (lower.expm1().log() - softplus_inverse(1.0)) * (1.0 - &telling));
    let (posteriors, draws) = ([posterior, upper_posterior], [lowest, upper]);
    let kl = posteriors.iter().zip([lower, rate("topics.1.bias", 1.0)]).map(|(posterior, rate)| {
        let prior =
            TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(6).allow_low_mass()).unwrap();
        sum(&posterior.kl(&prior).unwrap(), -1)
    });
    let (w, b) = (v("words.weight"), v("words.bias"));
    let [mut weight_penalty, mut overlap] = [0f32, 0f32].map(Tensor::from);
    let reconstruction = if likelihood == Likelihood::LogLinear {
        weight_penalty = w.square().sum(None::<Kind>);
        for (a, b) in (0..4).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let [a, b] = [a, b].map(|k| w.select(1, k).relu());
            overlap += a.dot(&b).square() / (a.dot(&a) * b.dot(&b));
        }
        -sum(&(x * (draws[0].matmul(&w.tr()) + b).log_softmax(-1, None::<Kind>)), -1)
    } else {
        let rates = draws[0].matmul(&w.exp().tr()) + b.exp();
        match likelihood {
            Likelihood::Poisson => sum(&(&rates - x * rates.log() + (x + 1.0).lgamma()), -1),
            _ => -sum(&(x * (&rates / sum(&rates, -1).unsqueeze(-1)).log()), -1),
        }
    };
    TopicsElbo { reconstruction, kl: kl.collect(), weight_penalty, overlap, rows: Vec::new() }
}

/// In float32, gradients and all. A step looks at the whole vocabulary where that is small, and where it is large, if all words are in
/// several of its documents.
#[test]
fn a_step_is_the_formula_over_the_vocabulary() {
    let _guard = seeded(0);
    let bags = bags(WORDS as u32, 0);
    for likelihood in LIKELIHOODS {
        // Where topics multiply, documents share some rows of a table, and look at others alone.
        let of_sample = if likelihood == Likelihood::LogLinear { 5 } else { 3 };
        for (vocabulary_sample, tables) in [(WORDS, 1), (LARGE, of_sample)] {
            let what = format!("{likelihood:?} {vocabulary_sample}");
            let (store, model) = model(&config(likelihood, vocabulary_sample));
            let found = elbo(&model, &bags);
            assert_eq!(found.rows.len(), tables, "{what}");
            let exact = written_out(&store, likelihood, &dense(&bags));
            let pairs = found.kl.iter().zip(&exact.kl).chain([
                (&found.reconstruction, &exact.reconstruction),
                (&found.weight_penalty, &exact.weight_penalty),
                (&found.overlap, &exact.overlap),
            ]);
            for (found, exact) in pairs {
                for (found, exact) in doubles(found).into_iter().zip(doubles(exact)) {
                    close(&what, found, exact, 1e-5);
                }
            }
            let exact = gradients(&store, &exact);
            let largest = |name: &str| exact[name].abs().max().double_value(&[]);
            for (name, found) in gradients(&store, &found) {
                let scale = largest(&name);
                // A bias that a batch normalisation takes away sums, to zero, terms as large as those of the normalisation's own bias: its rounding is
                // theirs, and differs from processor to processor.
                let terms =
                    if name.ends_with("output.bias") { largest(&name.replace("output", "norm")) } else { scale };
                let error = (found - &exact[&name]).abs().max().double_value(&[]);
                assert!(error <= 1e-5 * terms.max(1.0), "{what} {name}: {error:e} of {terms:e}");
                // What a batch normalisation takes away again has none.
                assert!(scale > 1e-4 || name.ends_with("output.bias"), "{what} {name}: {scale:e}");
            }
        }
    }
}

/// Mean, its standard error, and variance.
fn moments(numbers: &[f64]) -> (f64, f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt(), variance)
}

#[test]
fn sampled_sums_have_the_mean_of_the_whole() {
    const SEEDS: i64 = 1000;
    let _guard = seeded(0);
    let bags = bags(150, 60);
    for likelihood in LIKELIHOODS {
        let (whole_store, whole) = model(&config(likelihood, WORDS));
        let (store, sampled) = model(&config(likelihood, LARGE));
        assert_eq!(doubles(&store.variables()["words.weight"]), doubles(&whole_store.variables()["words.weight"]));
        let exact = elbo(&whole, &bags);
        let directions: BTreeMap<_, _> = whole_store
            .variables()
            .into_iter()
            .map(|(name, variable)| (name, variable.detach().randn_like()))
            .collect();
        // Derivatives of the loss along fixed directions, one a parameter.
        let along = |store: &VarStore, elbo: &TopicsElbo| -> Vec<f64> {
            let named = gradients(store, elbo).into_iter();
            named.map(|(name, gradient)| (gradient * &directions[&name]).sum(Kind::Double).double_value(&[])).collect()
        };
        let exact_slopes = along(&whole_store, &exact);
        let exact_reconstruction = doubles(&exact.reconstruction);
        let lengths = doubles(&bags.lengths);
        let (mut slopes, mut penalties) = (vec![Vec::new(); exact_slopes.len()], Vec::new());
        let mut differences = vec![Vec::new(); lengths.len()];
        for seed in 0..SEEDS {
            tch::manual_seed(seed);
            let found = elbo(&sampled, &bags);
            for (list, (found, exact)) in
                differences.iter_mut().zip(doubles(&found.reconstruction).iter().zip(&exact_reconstruction))
            {
                list.push(found - exact);
            }
            penalties.push(found.weight_penalty.double_value(&[]));
            if likelihood == Likelihood::Poisson {
                slopes.iter_mut().zip(along(&store, &found)).for_each(|(list, slope)| list.push(slope));
            }
        }
        let unbiased = |what: &str, numbers: &[f64], exact: f64| {
            let (mean, error, _) = moments(numbers);
            let bound = 4.0 * error + 1e-5 * exact.abs().max(1.0);
            assert!((mean - exact).abs() <= bound, "{likelihood:?} {what}: {mean} +- {error} instead of {exact}");
        };
        unbiased("penalty", &penalties, exact.weight_penalty.double_value(&[]));
        let mut worst = 0f64;
        for (differences, length) in differences.iter().zip(lengths) {
            if likelihood == Likelihood::Poisson {
                unbiased("reconstruction", differences, 0.0);
                continue;
            }
            // A token's part is log(S' / S).
            let logs: Vec<f64> = differences.iter().map(|difference| difference / length).collect();
            let ratios: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
            unbiased("sum", &ratios, 1.0);
            // log r = r - 1 - (r - 1)^2 / 2 + ..., of which the first two have the mean zero.
            let rest: Vec<f64> = logs.iter().zip(&ratios).map(|(log, ratio)| log - (ratio - 1.0)).collect();
            let (bias, error, _) = moments(&rest);
            let (_, _, variance) = moments(&ratios);
            let bound = 4.0 * error + variance.powf(1.5);
            assert!((bias + variance / 2.0).abs() <= bound, "{likelihood:?}: {bias} +- {error} against {variance} / 2");
            worst = worst.max(-bias);
        }
        println!("{likelihood:?}: the logarithm of a sampled sum is too small by {worst:.1e} nats at most");
        for (slopes, exact) in slopes.iter().zip(exact_slopes).filter(|(slopes, _)| !slopes.is_empty()) {
            unbiased("gradient", slopes, exact);
        }
    }
}

/// The same sample at parameters that are moved a little: values change as gradients say.
#[test]
fn gradients_of_a_sample_are_those_of_its_value() {
    const STEP: f64 = 5e-3;
    let _guard = seeded(0);
    let bags = bags(150, 60);
    for likelihood in LIKELIHOODS {
        let (store, model) = model(&config(likelihood, LARGE));
        let at = || {
            tch::manual_seed(1);
            elbo(&model, &bags)
        };
        let slopes = gradients(&store, &at());
        for name in ["words.weight", "words.bias", "encoder.embedding.weight", "encoder.0.output.weight"] {
            let mut variable = store.variables().remove(name).unwrap();
            let gradient = &slopes[name];
            let slope = gradient.square().sum(Kind::Double).double_value(&[]).sqrt();
            let direction = gradient / slope;
            let mut moved = |by: f64| {
                let _guard = tch::no_grad_guard();
                variable += &direction * by;
                doubles(&loss(&at()))[0]
            };
            let difference = moved(STEP) - moved(-2.0 * STEP);
            let _ = moved(STEP);
            close(&format!("{likelihood:?} {name}"), difference / (2.0 * STEP), slope, 2e-2);
        }
    }
}

/// The sample is a function of libtorch's seed.
#[test]
fn the_same_seed_gives_the_same_sample() {
    let _guard = seeded(0);
    let (_, model) = model(&config(Likelihood::LogLinear, LARGE));
    let bags = bags(150, 60);
    let at = |seed: i64| {
        tch::manual_seed(seed);
        doubles(&elbo(&model, &bags).reconstruction)
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
}

/// More documents and words than fit into the memory that a sum over the vocabulary may take at once; counts that are surely zero leave the background.
#[test]
fn evaluation_is_exact_over_a_large_vocabulary() {
    let _guard = seeded(0);
    let words = 1 << 20;
    let shape = TopicsConfig { words, topics: vec![1], hidden: 1, prior: 1e-9, ..config(Likelihood::LogLinear, LARGE) };
    let (store, model) = model(&shape);
    let documents: Vec<Vec<(u32, u32)>> =
        (0..20).map(|d| (0..d % 4).map(|w| (w * 1000 + d, 1 + w)).collect()).collect();
    let bags = BagOfWordsBatch::from_documents(&documents, Device::Cpu);
    let bound = model.bound(&bags, 1, None).unwrap();
    let log_p = store.variables()["words.bias"].detach().log_softmax(-1, None::<Kind>);
    for ((document, neg_elbo), kl) in documents.iter().zip(doubles(&bound.neg_elbo)).zip(doubles(&bound.kl)) {
        let exact: f64 =
            document.iter().map(|&(w, count)| -f64::from(count) * log_p.double_value(&[i64::from(w)])).sum();
        close("reconstruction", neg_elbo - kl, exact, 1e-5);
    }
}

/// Rows move as they do where the table is theirs alone; the others, and their averages, stay. An index that no table has is an error, and moves nothing.
#[test]
fn adam_moves_the_rows_of_a_step_alone() {
    let _guard = seeded(0);
    let float = (Kind::Float, Device::Cpu);
    let start = Tensor::randn([6, 5], float);
    let table = |rows: &Tensor| {
        let store = VarStore::new(Device::Cpu);
        let table = store.root().var_copy("table", rows);
        let adam = Adam::new(&store, 0.1).unwrap();
        (store, table, adam)
    };
    let indices = Tensor::from_slice(&[1i64, 2, 5]);
    let (_large, large, mut sparse) = table(&start);
    let (_small, small, mut dense) = table(&start.index_select(0, &indices));
    let rows = |indices: &Tensor, values: &Tensor| Rows::new("table", indices, values);
    let loss = |values: &Tensor| (values - 0.3).square().square().sum(None::<Kind>);
    for _ in 0..3 {
        let values = large.detach().index_select(0, &indices).set_requires_grad(true);
        let of_values = loss(&values);
        sparse.minimize_rows(&of_values, &[rows(&indices, &values)]).unwrap();
        dense.minimize(&loss(&small), false).unwrap();
    }
    let [found, averages, squares] = [&large.detach(), &sparse.state()[0].1, &sparse.state()[1].1].map(|t| t.copy());
    assert_eq!(doubles(&found.index_select(0, &indices)), doubles(&small));
    for (found, exact) in [averages.shallow_clone(), squares.shallow_clone()].iter().zip(dense.state()) {
        assert_eq!(doubles(&found.index_select(0, &indices)), doubles(&exact.1));
    }
    let others = Tensor::from_slice(&[0i64, 3, 4]);
    assert_eq!(doubles(&found.index_select(0, &others)), doubles(&start.index_select(0, &others)));
    assert_eq!(doubles(&averages.index_select(0, &others)), [0.0; 15]);

    let values = start.narrow(0, 0, 2).copy().set_requires_grad(true);
    let of_values = loss(&values);
    assert!(sparse.minimize_rows(&of_values, &[rows(&Tensor::from_slice(&[1i64, 6]), &values)]).is_err());
    assert_eq!(doubles(&large), doubles(&found));
}

/// A smaller limit of tensors for a while; it belongs to the whole process, and other tests make none that are as large.
struct Limit;

impl Limit {
    fn of(bytes: u64) -> Self {
        gengs::set_largest_tensor(bytes);
        Self
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        gengs::set_largest_tensor(1 << 30);
    }
}

/// Steps of 10 documents take 4 MB, all documents at once 32 MB.
#[test]
fn what_a_step_can_take_the_rest_of_a_run_can_and_what_it_cannot_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let themes = ["wave ship anchor voyage", "bank loan share bond", "nurse doctor clinic virus"];
    let texts: Vec<String> = (0..90).map(|n| format!("{} {}", themes[n % 3], themes[n / 3 % 3])).collect();
    let corpus = folder.path().join("texts.txt");
    std::fs::write(&corpus, texts.join("\n")).unwrap();
    let config = TopicsTrainConfig {
        corpus: corpus.display().to_string(),
        topics: vec![100],
        truncation: 500,
        hidden: 4,
        epochs: 1,
        batch_size: 10,
        validation_share: 0.3,
        text: gengs::data::TextRules { max_share: 1.0, ..Default::default() },
        ..TopicsTrainConfig::default()
    };
    let run = folder.path().join("run");
    let _limit = Limit::of(5 << 20);
    let start = |config: &TopicsTrainConfig| Session::<TopicsTask>::start(config.clone(), &run, Device::Cpu);
    for (config, settings) in [
        (TopicsTrainConfig { batch_size: 20, ..config.clone() }, &["batch-size", "topics", "truncation"][..]),
        (TopicsTrainConfig { topics: vec![1200], truncation: 2, batch_size: 1, ..config.clone() }, &["topics"]),
    ] {
        match start(&config).unwrap_err() {
            gengs::Error::StepTooLarge { settings: found, .. } => assert_eq!(found, settings),
            other => panic!("{other}"),
        }
        assert!(!run.exists());
    }
    let mut session = start(&config).unwrap();
    session.run(|_| Control::Continue, |_| ()).unwrap();
    let task = session.task();
    let (model, corpus) = (task.model(), task.corpus());
    evaluate_topics(model, corpus, 2, 500, 0, Device::Cpu).unwrap();
    let trained = TrainedTopics::load(&run, "last", Device::Cpu).unwrap();
    assert_eq!(trained.infer(&texts).unwrap().len(), 90);
    // In parts and at once, the same.
    let parts = evaluate_documents(model, &corpus.train, &[], 2, 500, 0, Device::Cpu).unwrap();
    drop(_limit);
    let whole = evaluate_documents(model, &corpus.train, &[], 2, 500, 0, Device::Cpu).unwrap();
    close("ELBO", parts.elbo_perplexity_word, whole.elbo_perplexity_word, 1e-5);
    close("completion", parts.completion_perplexity, whole.completion_perplexity, 1e-5);
    assert_eq!(parts.active_topics, whole.active_topics);
}
