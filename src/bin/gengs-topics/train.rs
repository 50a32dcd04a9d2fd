//! `gengs-topics train`: the options, and what it prints.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use gengs::Choice;
use gengs::cli::{self, RunArgs};
use gengs::data::{Header, Quotes, Segmentation, SplitRule, TextRules};
use gengs::estimators::EstimatorKind;
use gengs::models::{Family, Inference, Likelihood};
use gengs::training::{Interval, Schedule, TopicsRecord, TopicsTask, TopicsTrainConfig};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Defaults are in brackets; a flag takes precedence over --config, which takes precedence over the default.
#[derive(Debug, Args, Serialize)]
pub struct Train {
    /// reuters-395 (built in), 20news, reuters21578, rcv1-sample; or a file: one text per line, a table, JSON lines,
    /// counts (UCI, LDA-C, SVMlight), .npz; or a folder of .txt files; or - for standard input. Text is UTF-8, or
    /// UTF-16 with a byte order mark; any file but .npz may be gzipped. The format is detected from content and name.
    /// If that fails, as for lines of text that look like a table, name it with FORMAT:PATH: text, csv, tsv, jsonl,
    /// folder, uci, ldac, svmlight, npz, store [default: reuters-395]
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    /// Column of a table that holds the text, by its name or its number from 1; of JSON lines, the field, or a.b for
    /// the field b of the object in the field a [default: found by its name]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Column or field with the names of documents, which 'tree' shows for typical documents and the report for the
    /// longest one
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// Whether the first line of a table holds the names of its columns [default: auto]
    #[arg(long, value_name = "WHETHER", value_parser = cli::choice::<Header>())]
    header: Option<Header>,
    /// How double quotes in a table are read [default: paired]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<Quotes>())]
    quotes: Option<Quotes>,
    /// How documents are chosen for testing, if their source does not say so itself [default: seed]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<SplitRule>())]
    split: Option<SplitRule>,
    /// Share of the documents held out for testing [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Share of the remaining documents that choose the best epoch and are not trained on [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    validation_share: Option<f64>,
    /// Number of topics of each layer, from the lowest [default: 50]
    #[arg(long, value_delimiter = ',', value_name = "K,K")]
    topics: Option<Vec<i64>>,
    /// Posterior of the topics' counts, with --inference explicit; the prior is always Poisson [default: poisson]
    #[arg(long, value_parser = count_family())]
    family: Option<Family>,
    /// What the encoder computes: the parameters of the family, or one logit per atom of a free posterior [default:
    /// explicit]
    #[arg(long, value_parser = cli::choice::<Inference>())]
    inference: Option<Inference>,
    /// Law of words given topics [default: log-linear]
    #[arg(long, value_parser = cli::choice::<Likelihood>())]
    likelihood: Option<Likelihood>,
    /// Mean of the counts before training [default: 2]
    #[arg(long, value_name = "MEAN")]
    prior: Option<f64>,
    /// Number of atoms in the window of a count, from 0 [default: 24]
    #[arg(long, value_name = "N")]
    truncation: Option<i64>,
    /// Estimator of the gradient through the counts [default: gengs-st]
    #[arg(long, value_name = "NAME", value_parser = cli::choice_of(takes_one_sample))]
    estimator: Option<EstimatorKind>,
    /// Temperature of gengs and gengs-st: a number, or FIRST..LAST, which changes linearly over the run [default:
    /// 1..0.3]
    #[arg(long, value_name = "T|FIRST..LAST")]
    temperature: Option<Schedule>,
    /// Width of the encoder's hidden layers [default: 256]
    #[arg(long, value_name = "N")]
    hidden: Option<i64>,
    /// Share of the hidden units that are dropped in a step [default: 0.4]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Mean share of a document's words that are hidden from the encoder in a step [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    word_dropout: Option<f64>,
    /// Scale of the encoder's normalised outputs before training [default: 1.5]
    #[arg(long)]
    gain: Option<f64>,
    /// Size of the largest vocabulary that every step uses in full; with a larger one, a step uses the words of its
    /// documents and a sample of the others [default: 16384]
    #[arg(long, value_name = "WORDS")]
    vocabulary_sample: Option<i64>,
    /// Passes over the training documents [default: 60]
    #[arg(long, value_parser = cli::whole_number)]
    epochs: Option<i64>,
    /// Documents per step [default: 200]
    #[arg(long, value_name = "N")]
    batch_size: Option<i64>,
    /// Adam's learning rate in the first half of the run; it then falls linearly [default: 0.005]
    #[arg(long)]
    lr: Option<f64>,
    /// Epochs over which the weight of the KL grows from 0 to 1 [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<f64>,
    /// Share of the run over which the weight of the upper layers' KL grows to 1, more slowly for higher layers
    /// [default: 0.6]
    #[arg(long, value_name = "SHARE")]
    upper_warmup: Option<f64>,
    /// Strength of the normal prior on the word weights of log-linear topics: decay * w^2 nats per weight [default: 3]
    #[arg(long)]
    decay: Option<f64>,
    /// Penalty for similar log-linear topics: nats per document for two topics with the same words [default: 0.4]
    #[arg(long)]
    separation: Option<f64>,
    /// How often a checkpoint is written: 10s (or 10), 5m, '200 steps', '1 epoch' [default: 10s]
    #[arg(long, value_name = "INTERVAL")]
    checkpoint_every: Option<Interval>,
    /// Start from these weights: a .safetensors file, a torch.save file, a TorchScript module, or a checkpoint of
    /// another run
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Keep the documents in this folder instead of in memory; if it already holds the same corpus, it is used as it
    /// is. The order of documents in an epoch differs from the order in memory, so the same seed gives another model
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Keep no text of documents in the run folder; 'tree' then shows none
    #[arg(long, num_args = 0, default_missing_value = "true")]
    no_text: Option<bool>,
    #[command(flatten)]
    text: Text,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_parser = cli::generator_seed)]
    seed: Option<i64>,
    #[command(flatten)]
    #[serde(skip)]
    run_args: RunArgs,
}

/// How text becomes words; has no effect on counts of words.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Text")]
struct Text {
    /// Rule for where words begin and end [default: unicode]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<Segmentation>())]
    segmentation: Option<Segmentation>,
    /// Whether to convert words to lower case [default: true]
    #[arg(long, value_name = "true|false")]
    lower_case: Option<bool>,
    /// Letters of the shortest word; letters of scripts without upper and lower case count twice, so that 3 keeps words
    /// of two of them [default: 3]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    min_letters: Option<i64>,
    /// Whether to leave out 295 common English words; for other languages, --max-share leaves out the most frequent
    /// words [default: true]
    #[arg(long, value_name = "true|false")]
    stop_words: Option<bool>,
    /// Leave out words that occur in fewer training documents [default: 3]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    min_documents: Option<i64>,
    /// Leave out words that occur in a larger share of the training documents [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    max_share: Option<f64>,
    /// Most words of the vocabulary; those in the most documents are kept [default: 10000]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    max_words: Option<i64>,
}

/// Returns whether an estimator takes one sample per document, as the training of topics does.
fn takes_one_sample(kind: &EstimatorKind) -> bool {
    kind.pathwise(1.0).is_some()
}

/// Returns a parser for the families of counts without an upper bound, which topics can have.
fn count_family() -> impl TypedValueParser<Value = Family> {
    let values = [Family::Poisson, Family::Geometric, Family::NegativeBinomial].map(|family| {
        let help = if family == Family::NegativeBinomial {
            "Over-dispersed counts, with a learned total_count"
        } else {
            family.about()
        };
        PossibleValue::new(family.word()).help(help)
    });
    PossibleValuesParser::new(values).try_map(|word| word.parse::<Family>())
}

/// Returns sentences about settings that differ from their defaults but have no effect. `of_text` says whether the
/// corpus is text; otherwise it is counts of words.
fn without_effect(config: &TopicsTrainConfig, of_text: bool) -> Vec<String> {
    let mut sentences = Vec::new();
    if config.inference == Inference::Implicit && config.family != Family::Poisson {
        let problem = "has no effect with --inference implicit, whose posterior is of no family";
        sentences.push(format!("--family {} {problem}", config.family));
    }
    let (text, own) = (&config.text, TextRules::default());
    let given = [
        ("--text-column", config.text_column.is_some()),
        ("--id-column", config.id_column.is_some()),
        ("--header", matches!(config.header, Header::Yes | Header::No)),
        ("--quotes", config.quotes == Quotes::Text),
        ("--lower-case", text.lower_case != own.lower_case),
        ("--min-letters", text.min_letters != own.min_letters),
        ("--stop-words", text.stop_words != own.stop_words),
        ("--min-documents", text.min_documents != own.min_documents),
        ("--max-share", text.max_share != own.max_share),
        ("--max-words", text.max_words != own.max_words),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect();
    if !of_text && !given.is_empty() {
        let problem = "no effect: the corpus is counts of words, which are taken as they are, and not text";
        sentences.push(format!("{} {} {problem}", given.join(", "), if given.len() == 1 { "has" } else { "have" }));
    }
    sentences
}

impl cli::Train for Train {
    type Task = TopicsTask;

    const DATA_LOCATIONS: &'static [&'static str] = &["corpus", "store"];

    const PROGRAM: &'static str = "gengs-topics";

    fn run_args(&self) -> &RunArgs {
        &self.run_args
    }

    fn default_folder(config: &TopicsTrainConfig) -> PathBuf {
        let corpus = Path::new(&config.corpus).file_stem().unwrap_or_default().to_string_lossy();
        let corpus = if corpus == "-" { "standard-input".into() } else { corpus };
        Path::new("runs").join(format!("topics-{corpus}"))
    }

    fn start_messages(task: &TopicsTask, config: &TopicsTrainConfig) -> gengs::Result<(Vec<String>, Vec<String>)> {
        let reading = task.reading()?;
        let mut warnings = reading.warnings(&config.text, &cli::flag);
        warnings.extend(without_effect(config, reading.text.is_some()));
        Ok((reading.sentences(&config.text), warnings))
    }

    fn epoch_line(record: &TopicsRecord) -> String {
        let validated = if record.validated_in_training { "training" } else { "validation" };
        let perplexity = if record.of_counts { "exp(bound on the counts, per word)" } else { "perplexity" };
        format!(
            "epoch {}: -ELBO {:.2} (relaxed, training), {:.2} (hard, {validated}), {perplexity} {:.1}, KL {:.2}, \
             temperature {:.3}",
            record.epoch,
            record.train_neg_elbo_relaxed,
            record.validation_neg_elbo,
            record.validation_perplexity,
            record.validation_kl,
            record.temperature
        )
    }
}
