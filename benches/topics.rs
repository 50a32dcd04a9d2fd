//! The topic model: `cargo bench --bench topics -- scale [ROUNDS] [STEPS] [TOKENS]`, `... train FILE.npz STEPS` or `... infer FILE.npz`. One thread.
//!
//! `scale`: documents a second in training for a small and a large vocabulary, in alternation, with 200 synthetic documents a step by Zipf's law that all have
//! as many tokens, and the default settings; the last column is the median over the rounds of the large one's speed over the small one's.
//!
//! `train`: tokens a second, `infer`: documents a second, on a corpus, with the default settings; `benches/peers/topics.py` runs them beside others.

use gengs::data::Corpus;
use gengs::models::{BagOfWordsBatch, Likelihood, TopicModel, TopicsStart};
use gengs::nn::Adam;
use gengs::relaxation::Forward;
use gengs::sampler::NoiseKey;
use gengs::training::{Settings, StepContext, TopicsTask, TopicsTrainConfig, TrainTask};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use std::time::Instant;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

const VOCABULARIES: [usize; 2] = [2_000, 100_000];
const BATCH: usize = 200;

/// What is trained, and its documents.
struct Contestant {
    model: TopicModel,
    adam: Adam,
    documents: Vec<Vec<(u32, u32)>>,
    steps: u64,
}

impl Contestant {
    fn new(words: usize, likelihood: Likelihood, tokens: usize) -> anyhow::Result<Self> {
        tch::manual_seed(0);
        let weights: Vec<f64> = (0..words).map(|rank| 1.0 / (rank as f64 + 2.7)).collect();
        let documents = documents(&weights, tokens);
        let (mut counts, mut holders) = (vec![0.5f32; words], vec![0f32; words]);
        for &(word, count) in documents.iter().flatten() {
            counts[word as usize] += count as f32;
            holders[word as usize] += 1.0;
        }
        let frequencies = Tensor::from_slice(&counts);
        let frequencies = &frequencies / frequencies.sum(None::<Kind>);
        let config = TopicsTrainConfig { likelihood, ..TopicsTrainConfig::default() };
        let shape = config.model(words as i64);
        let float = (Kind::Float, Device::Cpu);
        let topics = Tensor::randn([words as i64, shape.topics[0]], float).exp() * frequencies.unsqueeze(-1);
        let directions = Tensor::randn([words as i64, shape.topics[0]], float) / (words as f64).sqrt();
        let start = TopicsStart {
            documents: Tensor::from_slice(&holders),
            idf: -frequencies.log(),
            topics: &topics / topics.sum_dim_intlist(0, true, None::<Kind>),
            frequencies,
            length: tokens as f64,
            directions: vec![directions],
            groups: Vec::new(),
        };
        let store = VarStore::new(Device::Cpu);
        let model = TopicModel::new(&store.root(), &shape, &start)?;
        let adam = Adam::new(&store, config.lr)?;
        Ok(Self { model, adam, documents, steps: 0 })
    }

    /// Documents a second over some steps.
    fn run(&mut self, steps: usize) -> anyhow::Result<f64> {
        let batches = self.documents.len() / BATCH;
        let start = Instant::now();
        for _ in 0..steps {
            let first = self.steps as usize % batches * BATCH;
            self.steps += 1;
            tch::manual_seed(self.steps as i64);
            let bags = BagOfWordsBatch::from_documents(&self.documents[first..first + BATCH], Device::Cpu);
            let key = NoiseKey::new(0, self.steps);
            let elbo = self.model.relaxed_elbo(&bags, 0.5, Forward::StraightThrough, key)?;
            let kl = Tensor::stack(&elbo.kl, 0).sum(None::<Kind>);
            let loss = (elbo.reconstruction.sum(None::<Kind>) + kl) / BATCH as f64 + elbo.weight_penalty * 1e-4;
            self.adam.minimize_rows(&loss, &elbo.rows)?;
        }
        Ok((steps * BATCH) as f64 / start.elapsed().as_secs_f64())
    }
}

/// Twenty batches of documents; words are numbered without regard to their frequency.
fn documents(weights: &[f64], tokens: usize) -> Vec<Vec<(u32, u32)>> {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let mut names: Vec<u32> = (0..weights.len() as u32).collect();
    for i in (1..names.len()).rev() {
        names.swap(i, generator.random_range(0..=i));
    }
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let mut document = || {
        let mut words: Vec<u32> = (0..tokens)
            .map(|_| {
                let place = generator.random::<f64>() * sum;
                names[sums.partition_point(|&sum| sum <= place).min(names.len() - 1)]
            })
            .collect();
        words.sort_unstable();
        words.chunk_by(|a, b| a == b).map(|word| (word[0], word.len() as u32)).collect()
    };
    (0..20 * BATCH).map(|_| document()).collect()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |i: usize, default: usize| words.get(i).map_or(Ok(default), |number| number.parse());
    gengs::keep_freed_memory();
    tch::set_num_threads(1);
    match (words.first().map(String::as_str), words.get(1)) {
        (Some("train"), Some(path)) => train(path, number(2, 60)?),
        (Some("infer"), Some(path)) => infer(path),
        _ => scale(number(1, 5)?, number(2, 20)?, number(3, 100)?),
    }
}

/// Prints tokens a second.
fn train(path: &str, steps: usize) -> anyhow::Result<()> {
    let config = TopicsTrainConfig { corpus: path.into(), ..TopicsTrainConfig::default() };
    let mut task = TopicsTask::new(&config, Device::Cpu)?;
    task.init_from_data(&config)?;
    let order = task.order(0, 1);
    let size = config.loop_config().batch_size;
    let (mut start, mut tokens) = (Instant::now(), 0u64);
    for step in 0..steps + 10 {
        if step == 10 {
            (start, tokens) = (Instant::now(), 0);
        }
        let indices = order.narrow(0, step as i64 * size % (order.size()[0] - size), size);
        for number in Vec::<i64>::try_from(&indices)? {
            tokens += task.corpus().train.get(number as usize)?.iter().map(|&(_, count)| u64::from(count)).sum::<u64>();
        }
        let plan = StepContext {
            indices: &indices,
            epoch: 1,
            step,
            steps: 1,
            done: step,
            fraction: 0.0,
            temperature: 0.5,
            key: NoiseKey::new(0, step as u64),
            seed: step as i64,
        };
        let _ = task.step(&config, &plan)?;
    }
    println!("{}", tokens as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

/// Prints documents a second, of the test documents, 500 at a time.
fn infer(path: &str) -> anyhow::Result<()> {
    let config = TopicsTrainConfig { corpus: path.into(), ..TopicsTrainConfig::default() };
    let task = TopicsTask::new(&config, Device::Cpu)?;
    let corpus: &Corpus = task.corpus();
    let documents = corpus.test.iter().collect::<gengs::Result<Vec<_>>>()?;
    let once = || -> gengs::Result<()> {
        for batch in documents.chunks(500) {
            task.model().infer(&BagOfWordsBatch::from_documents(batch, Device::Cpu))?;
        }
        Ok(())
    };
    once()?;
    let start = Instant::now();
    for _ in 0..5 {
        once()?;
    }
    println!("{}", (5 * documents.len()) as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

fn scale(rounds: usize, steps: usize, tokens: usize) -> anyhow::Result<()> {
    println!("documents of {tokens} tokens a second, of {} and of {} words", VOCABULARIES[0], VOCABULARIES[1]);
    for likelihood in [Likelihood::LogLinear, Likelihood::Multinomial, Likelihood::Poisson] {
        let contestants = VOCABULARIES.map(|words| Contestant::new(words, likelihood, tokens));
        let [small, large] = contestants;
        let (mut small, mut large) = (small?, large?);
        for contestant in [&mut small, &mut large] {
            contestant.run(5)?;
        }
        let (mut speeds, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..rounds {
            let round = [small.run(steps)?, large.run(steps)?];
            ratios.push(round[1] / round[0]);
            for (speeds, speed) in speeds.iter_mut().zip(round) {
                speeds.push(speed);
            }
        }
        let [a, b] = speeds.map(median);
        println!("{:12} {a:7.0} {b:7.0}   {:.2}", format!("{likelihood:?}"), median(ratios));
    }
    Ok(())
}
