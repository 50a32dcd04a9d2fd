//! A topic model as a training task: model, corpus and optimiser.

use super::batch::{bags, batches};
use super::config::TopicsTrainConfig;
use super::record::TopicsRecord;
use super::rows;
use super::shown::TopicsShown;
use super::start::{blank, from_corpus};
use super::words::read_run_words;
use crate::data::{Corpus, Identity, ReadingReport, TextRules, document_hash};
use crate::error::{Error, Result};
use crate::models::{TopicModel, TopicsStart};
use crate::nn::Adam;
use crate::platform::threads::LibtorchOnOneThread;
use crate::random;
use crate::relaxation::{Forward, Pathwise};
use crate::topic_metrics::{DIVERSITY_WORDS, diversity};
use crate::training::checkpoint::Checkpoint;
use crate::training::elbo_metrics::{ELBO_METRICS, KL, NEG_ELBO};
use crate::training::run_files::{READING, VOCABULARY};
use crate::training::run_folder::RunFolder;
use crate::training::step_context::StepContext;
use crate::training::step_metrics::StepMetric;
use crate::training::train_task::{LogItem, TrainTask, Trained};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// Documents per validation batch.
const VALIDATION_BATCH: usize = 500;

/// The name of the training documents' hashes in the record of a run's data.
pub(super) const TRAINED_ON: &str = "trained_on";

/// A topic model in training.
#[derive(Debug)]
pub struct TopicsTask {
    corpus: Corpus,
    /// For each training document, whether it is used for validation.
    validates: Vec<bool>,
    /// The number of training documents that the model is fitted to.
    fitted: i64,
    /// The reading report; computed on first use.
    reading: OnceCell<ReadingReport>,
    /// Whether the run keeps no text of documents.
    no_text: bool,
    store: VarStore,
    model: TopicModel,
    adam: Adam,
}

impl TopicsTask {
    /// Returns the model.
    pub fn model(&self) -> &TopicModel {
        &self.model
    }

    /// Returns the corpus.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Returns the reading report. The first call passes over all documents.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn reading(&self) -> Result<&ReadingReport> {
        if let Some(known) = self.reading.get() {
            return Ok(known);
        }
        let validation = Some(self.validates.len() as u64 - self.fitted as u64);
        let reading = ReadingReport { validation, ..self.corpus.report()? };
        Ok(self.reading.get_or_init(|| reading))
    }

    /// Iterates over the documents for validation: all training documents if none is held out for it.
    fn validation(&self) -> impl Iterator<Item = usize> {
        let all = !self.validates.contains(&true);
        (0..self.validates.len()).filter(move |&number| all || self.validates[number])
    }

    /// Iterates over the documents that the model is fitted to.
    fn fitted(&self) -> impl Iterator<Item = usize> {
        (0..self.validates.len()).filter(|&number| !self.validates[number])
    }

    /// Returns means over the validation documents: negative ELBO and KL per document, and the negative ELBO divided by
    /// the document's number of tokens. The latter is the ELBO of the counts if `of_counts`, else of the tokens given
    /// their number.
    fn validate(&self, seed: i64, of_counts: bool) -> Result<[f64; 3]> {
        let _generator = random::seeded(seed);
        let documents = self.validation().map(|number| self.corpus.train.get(number));
        let (mut sums, mut count) = ([0.0; 3], 0);
        for batch in batches(documents, VALIDATION_BATCH, self.device()) {
            let (_, bags) = batch?;
            let bound = self.model.bound(&bags, 1, None)?;
            let per_token =
                if of_counts { &bound.neg_elbo } else { &bound.neg_elbo_of_tokens } / bags.lengths.clamp_min(1.0);
            for (sum, part) in sums.iter_mut().zip([bound.neg_elbo, bound.kl, per_token]) {
                *sum += part.sum(Kind::Double).double_value(&[]);
            }
            count += bags.len();
        }
        Ok(sums.map(|sum| sum / (count as f64).max(1.0)))
    }
}

/// Returns for each training document whether it is used for validation. None is if no word would be left to train on.
fn validation(config: &TopicsTrainConfig, corpus: &Corpus) -> Result<Vec<bool>> {
    let mut validates = corpus.validation(&config.document_split())?;
    let mut fitted = corpus.train.iter().zip(&validates).filter(|(_, validates)| !**validates);
    let has_words = fitted.find_map(|(document, _)| match document {
        Ok(document) => (!document.is_empty()).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    });
    if has_words.transpose()?.is_none() {
        validates.fill(false);
    }
    Ok(validates)
}

/// Makes a model, its variables and its optimiser.
fn build(
    config: &TopicsTrainConfig,
    words: i64,
    start: &TopicsStart,
    device: Device,
) -> Result<(VarStore, TopicModel, Adam)> {
    let store = VarStore::new(device);
    let model = TopicModel::new(&store.root(), &config.model(words), start)?;
    let adam = Adam::new(&store, config.lr)?;
    Ok((store, model, adam))
}

impl TrainTask for TopicsTask {
    type Settings = TopicsTrainConfig;
    type Record = TopicsRecord;

    const METRICS: &'static [StepMetric] = ELBO_METRICS;

    fn new(config: &TopicsTrainConfig, device: Device) -> Result<Self> {
        let corpus = config.load()?;
        if corpus.train.tokens() == 0 {
            let found = format!("{} documents without a word", corpus.train.len());
            return Err(Error::parameter("training part of the corpus", found, "at least one document with a word"));
        }
        let validates = validation(config, &corpus)?;
        let words = corpus.vocabulary.len() as i64;
        let model = config.model(words);
        model.check()?;
        let (store, model, adam) = build(config, words, &blank(words, &config.topics, device), device)?;
        let fitted = validates.iter().filter(|validates| !**validates).count() as i64;
        Ok(Self { corpus, validates, fitted, reading: OnceCell::new(), no_text: config.no_text, store, model, adam })
    }

    fn write_outside(config: &TopicsTrainConfig) -> Result<()> {
        config.write_store()
    }

    /// Checks that a store named by the settings is used: the order of documents in memory differs.
    fn check_outside(&self, config: &TopicsTrainConfig) -> Result<()> {
        match &config.store {
            Some(store) if !self.corpus.train.are_on_disk() => Err(Error::NotInStore { path: store.clone() }),
            _ => Ok(()),
        }
    }

    fn check_step(&self, config: &TopicsTrainConfig) -> Result<()> {
        self.model.check_step(config.batch_size.min(self.fitted))
    }

    /// Starts topics from groups of documents.
    fn init_from_data(&mut self, config: &TopicsTrainConfig) -> Result<()> {
        let _guard = LibtorchOnOneThread::new();
        let device = self.device();
        let numbers: Vec<usize> = self.fitted().collect();
        let start = from_corpus(&self.corpus, &numbers, &config.topics, config.seed, device)?;
        let _generator = random::seeded(config.seed as i64);
        (self.store, self.model, self.adam) = build(config, self.corpus.vocabulary.len() as i64, &start, device)?;
        Ok(())
    }

    fn identity(&self) -> Result<Option<Identity>> {
        self.corpus.identity().map(Some)
    }

    /// Returns a hash of each training document that has a word, ascending. `eval` leaves these documents out when it
    /// evaluates other documents.
    fn kept_of_data(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut hashes = Vec::new();
        for document in self.corpus.train.iter() {
            let document = document?;
            if !document.is_empty() {
                hashes.push(document_hash(&document));
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(BTreeMap::from([(TRAINED_ON.to_string(), Tensor::from_slice(&hashes))]))
    }

    /// Compares the words with those stored at the start of the run, whose order is that of the model's weights.
    fn mismatch(&self, folder: &RunFolder) -> Result<Option<String>> {
        if !folder.file(VOCABULARY).exists() {
            return Ok(None);
        }
        let words = read_run_words(folder, TextRules::default())?.into_words();
        let (found, known) = (&self.corpus.vocabulary, words.len());
        if found.len() != known {
            return Ok(Some(format!("{} words of the vocabulary, not {known}", found.len())));
        }
        if found == &words {
            return Ok(None);
        }
        let found: HashSet<&String> = found.iter().collect();
        Ok(Some(match words.iter().find(|word| !found.contains(word)) {
            Some(lost) => format!("as many words of the vocabulary, but not the run's word '{lost}'"),
            None => "the run's words of the vocabulary in another order".into(),
        }))
    }

    fn examples(&self) -> i64 {
        self.fitted
    }

    fn store(&self) -> &VarStore {
        &self.store
    }

    fn optimisers(&mut self) -> Vec<&mut Adam> {
        vec![&mut self.adam]
    }

    /// Returns the indices of the documents that the model is fitted to.
    fn order(&self, seed: u64, epoch: usize) -> Tensor {
        let order = self.corpus.train.order(seed, epoch).into_iter();
        Tensor::from_slice(&order.filter(|&number| !self.validates[number as usize]).collect::<Vec<i64>>())
    }

    fn step(&mut self, config: &TopicsTrainConfig, plan: &StepContext<'_>) -> Result<Tensor> {
        let _guard = LibtorchOnOneThread::new();
        let bags = bags(&self.corpus.train, &Vec::<i64>::try_from(plan.indices)?, self.device())?;
        let straight = Pathwise::Relaxed { temperature: plan.temperature, forward: Forward::StraightThrough };
        let how = config.estimator.pathwise(plan.temperature).unwrap_or(straight);
        let elbo = self.model.pathwise_elbo(&bags, how, plan.key)?;
        let kl_of_layers: Vec<Tensor> = elbo.kl.iter().map(|kl| kl.sum(None::<Kind>)).collect();
        let weights = config.kl_weights(kl_of_layers.len(), plan.fraction).into_iter();
        let kl_weight = plan.warmup(config.kl_warmup);
        let weighted: Tensor = kl_of_layers.iter().zip(weights).map(|(kl, weight)| kl * (weight * kl_weight)).sum();
        let kl: Tensor = kl_of_layers.iter().sum();
        let reconstruction = elbo.reconstruction.sum(None::<Kind>);
        let penalty = elbo.weight_penalty * (config.decay / self.examples() as f64) + elbo.overlap * config.separation;
        let loss = (&reconstruction + weighted) / bags.len() as f64 + penalty;
        self.adam.set_learning_rate(config.learning_rate(plan.fraction))?;
        self.adam.minimize_rows(&loss, &elbo.rows)?;
        let kl = kl.detach();
        Ok(Tensor::stack(&[reconstruction.detach() + &kl, kl], 0).to_kind(Kind::Double))
    }

    fn record(&self, config: &TopicsTrainConfig, trained: &Trained) -> Result<TopicsRecord> {
        let _guard = LibtorchOnOneThread::new();
        let [neg_elbo, kl, per_token] = self.validate(config.seed as i64, config.selects_by_counts)?;
        Ok(TopicsRecord {
            epoch: trained.epoch,
            train_neg_elbo_relaxed: trained.means.get(NEG_ELBO),
            train_kl: trained.means.get(KL),
            validation_neg_elbo: neg_elbo,
            validation_kl: kl,
            validation_perplexity: per_token.exp(),
            validated_in_training: !self.validates.contains(&true),
            of_counts: config.selects_by_counts,
            temperature: trained.temperature,
            skipped_steps: trained.skipped_steps,
            seconds: trained.seconds,
        })
    }

    /// Logs histograms of the posterior means over validation documents and topics, and the diversity of topics, for
    /// each layer. The diversity is estimated from one batch of validation documents.
    fn log_items(&self, _: &TopicsTrainConfig) -> Result<Vec<(String, LogItem)>> {
        let _guard = LibtorchOnOneThread::new();
        let numbers: Vec<i64> = self.validation().take(VALIDATION_BATCH).map(|number| number as i64).collect();
        let bags = bags(&self.corpus.train, &numbers, self.device())?;
        let means = self.model.infer(&bags)?;
        let mut evidence = self.model.evidence();
        evidence.add(&bags, &means[0])?;
        let mut log_items = Vec::new();
        for (layer, (topics, means)) in self.model.topics(&evidence)?.iter().zip(means).enumerate() {
            let distinct = diversity(&rows(topics)?, DIVERSITY_WORDS)?;
            log_items.push((format!("layer{layer}/diversity"), LogItem::Scalar(distinct)));
            log_items.push((format!("layer{layer}/posterior_mean"), LogItem::Histogram(means)));
        }
        Ok(log_items)
    }

    /// Writes the vocabulary and the reading report once; they do not change.
    fn save_extra_files(&self, folder: &RunFolder) -> Result<()> {
        let write = |name: &str, content: &dyn Fn() -> Result<String>| {
            if folder.file(name).symlink_metadata().is_ok() {
                return Ok(());
            }
            folder.write(name, (content()? + "\n").as_bytes())
        };
        write(VOCABULARY, &|| Ok(self.corpus.vocabulary.join("\n")))?;
        write(READING, &|| {
            let mut reading = self.reading()?.clone();
            if let (true, Some(longest)) = (self.no_text, &mut reading.longest) {
                longest.label = None;
            }
            serde_json::to_string(&reading).map_err(|error| Error::Config(error.to_string()))
        })
    }

    /// Stores the topics of both checkpoints for `topics` and `tree`.
    fn finish(&mut self, config: &TopicsTrainConfig, folder: &RunFolder) -> Result<()> {
        let _guard = LibtorchOnOneThread::new();
        let last = Checkpoint::read(&folder.file("last.safetensors"))?;
        let mut shown = TopicsShown::new(&self.model, &self.corpus, !config.no_text, self.device())?;
        shown.write(folder, "last", &last)?;
        let best = folder.file("best.safetensors");
        if !best.exists() {
            return Ok(());
        }
        let best = Checkpoint::read(&best)?;
        if best.progress().updates == last.progress().updates {
            return shown.write(folder, "best", &best);
        }
        let words = self.corpus.vocabulary.len() as i64;
        let (store, model, _) = build(config, words, &blank(words, &config.topics, self.device()), self.device())?;
        best.restore(&store)?;
        TopicsShown::new(&model, &self.corpus, !config.no_text, self.device())?.write(folder, "best", &best)
    }
}
