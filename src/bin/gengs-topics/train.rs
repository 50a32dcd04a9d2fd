//! `gengs-topics train`.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use gengs::Choice;
use gengs::cli::{self, RunArgs};
use gengs::data::{Header, Quotes, Segmentation, SplitRule, TextRules};
use gengs::models::{Family, Inference, Likelihood};
use gengs::training::{Interval, Schedule, TopicsRecord, TopicsTask, TopicsTrainConfig};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Defaults are in brackets; a flag wins over --config, which wins over the default.
#[derive(Debug, Args, Serialize)]
pub struct Train {
    /// reuters-395 (built in), 20news, reuters21578, rcv1-sample; or a file: a text a line, a table, JSON lines, counts
    /// (UCI, LDA-C, SVMlight), .npz; or a folder of .txt files; or - for standard input. Text is UTF-8, or UTF-16 with
    /// a byte order mark; any file but .npz may be gzipped. Content and name tell the format. FORMAT:PATH names it, and
    /// is needed only where they mislead, as for lines of text that look like a table: text, csv, tsv, jsonl, folder,
    /// uci, ldac, svmlight, npz, store [default: reuters-395]
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    /// Column of a table that holds the text, by its name or its number from 1; of JSON lines, the field, or a.b for
    /// the field b of the object in the field a [default: found by its name]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Column or field that documents are called by: typical documents in 'tree' and the longest in the report have
    /// this name
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// Whether the first line of a table holds the names of its columns [default: auto]
    #[arg(long, value_name = "WHETHER", value_parser = cli::choice::<Header>())]
    header: Option<Header>,
    /// What double quotes of a table are [default: paired]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<Quotes>())]
    quotes: Option<Quotes>,
    /// By what documents are held out, where their source does not say so itself [default: seed]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<SplitRule>())]
    split: Option<SplitRule>,
    /// Share of the documents that are held out for testing [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Share of the others that choose the best epoch, and are not trained on [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    validation_share: Option<f64>,
    /// Topics of each layer, from the lowest [default: 50]
    #[arg(long, value_delimiter = ',', value_name = "K,K")]
    topics: Option<Vec<i64>>,
    /// Posterior of the topics' counts, with --inference explicit; the prior is Poisson, whatever the posterior
    /// [default: poisson]
    #[arg(long, value_parser = count_family())]
    family: Option<Family>,
    /// What the encoder puts out: parameters of the family, or one logit an atom, of a posterior of no family [default:
    /// explicit]
    #[arg(long, value_parser = cli::choice::<Inference>())]
    inference: Option<Inference>,
    /// Law of words given topics [default: log-linear]
    #[arg(long, value_parser = cli::choice::<Likelihood>())]
    likelihood: Option<Likelihood>,
    /// Mean of the counts at the start [default: 2]
    #[arg(long, value_name = "MEAN")]
    prior: Option<f64>,
    /// Atoms of a count's window [default: 24]
    #[arg(long, value_name = "N")]
    truncation: Option<i64>,
    /// Temperature: a number, or first..last, changed linearly over the run [default: 1..0.3]
    #[arg(long, value_name = "T|FIRST..LAST")]
    temperature: Option<Schedule>,
    /// Width of the encoder [default: 256]
    #[arg(long, value_name = "N")]
    hidden: Option<i64>,
    /// Share of hidden units that a step leaves out [default: 0.4]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Mean share of a document's words that the encoder does not see in a step [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    word_dropout: Option<f64>,
    /// Scale of the encoder's normalised outputs at the start [default: 1.5]
    #[arg(long)]
    gain: Option<f64>,
    /// Words of the largest vocabulary that a step looks at whole; of a larger one, it looks at those of its documents
    /// and a sample of the others [default: 16384]
    #[arg(long, value_name = "WORDS")]
    vocabulary_sample: Option<i64>,
    /// Passes over the training documents [default: 60]
    #[arg(long, value_parser = cli::whole_number)]
    epochs: Option<i64>,
    /// Documents a step [default: 200]
    #[arg(long, value_name = "N")]
    batch_size: Option<i64>,
    /// Adam's learning rate in the first half of the run; then it falls linearly [default: 0.005]
    #[arg(long)]
    lr: Option<f64>,
    /// Epochs over which the weight of the KL grows from 0 to 1 [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<f64>,
    /// Share of the run over which the KL of upper layers comes to count in full, of higher ones more slowly [default:
    /// 0.6]
    #[arg(long, value_name = "SHARE")]
    upper_warmup: Option<f64>,
    /// Strength of the normal prior on the weights of words, decay * w^2 nats each, for log-linear topics [default: 3]
    #[arg(long)]
    decay: Option<f64>,
    /// Nats a document for two log-linear topics of the same words; more makes topics differ [default: 0.4]
    #[arg(long)]
    separation: Option<f64>,
    /// How often a checkpoint is written: 10s (or 10), 5m, '200 steps', '1 epoch' [default: 10s]
    #[arg(long, value_name = "INTERVAL")]
    checkpoint_every: Option<Interval>,
    /// Start from these weights: a file of safetensors, of torch.save, a TorchScript module, or a checkpoint of another
    /// run
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Keep the documents in this folder while they are trained on, in place of memory; where it holds the same corpus
    /// already, that is used as it is. An epoch then visits the documents in another order than in memory, so that the
    /// same seed gives another model
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Keep no text of documents in the run folder: 'tree' then shows none
    #[arg(long, num_args = 0, default_missing_value = "true")]
    no_text: Option<bool>,
    #[command(flatten)]
    text: Text,
    /// Where all randomness starts [default: 0]
    #[arg(long, value_parser = cli::generator_seed)]
    seed: Option<i64>,
    #[command(flatten)]
    #[serde(skip)]
    run_args: RunArgs,
}

/// How text becomes words; counts of words are taken as they are.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Text")]
struct Text {
    /// Where words begin and end [default: unicode]
    #[arg(long, value_name = "RULE", value_parser = cli::choice::<Segmentation>())]
    segmentation: Option<Segmentation>,
    /// Whether Word and word are the same [default: true]
    #[arg(long, value_name = "true|false")]
    lower_case: Option<bool>,
    /// Letters of the shortest word; those of scripts without upper and lower case count twice, so that 3 keeps words
    /// of two of them [default: 3]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    min_letters: Option<i64>,
    /// Whether 295 common English words are left out; other languages have no list: there, --max-share takes the most
    /// frequent words [default: true]
    #[arg(long, value_name = "true|false")]
    stop_words: Option<bool>,
    /// Words in fewer training documents are left out of the vocabulary [default: 3]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    min_documents: Option<i64>,
    /// Words in a larger share of the training documents are left out [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    max_share: Option<f64>,
    /// Words of the vocabulary; those in the most documents are kept [default: 10000]
    #[arg(long, value_name = "N", value_parser = cli::whole_number)]
    max_words: Option<i64>,
}

/// The families of counts without an upper end, which those of topics are.
fn count_family() -> impl TypedValueParser<Value = Family> {
    let values = [Family::Poisson, Family::Geometric, Family::NegativeBinomial].map(|family| {
        let help = if family == Family::NegativeBinomial {
            "Over-dispersed counts, with a total_count of their own"
        } else {
            family.about()
        };
        PossibleValue::new(family.word()).help(help)
    });
    PossibleValuesParser::new(values).try_map(|word| word.parse::<Family>())
}

/// Of settings that are not the default ones and have no effect; `of_text` says whether the corpus is text or counts of
/// words.
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

    const PLACES: &'static [&'static str] = &["corpus", "store"];

    const PROGRAM: &'static str = "gengs-topics";

    fn run_args(&self) -> &RunArgs {
        &self.run_args
    }

    fn default_folder(config: &TopicsTrainConfig) -> PathBuf {
        let corpus = Path::new(&config.corpus).file_stem().unwrap_or_default().to_string_lossy();
        let corpus = if corpus == "-" { "standard-input".into() } else { corpus };
        Path::new("runs").join(format!("topics-{corpus}"))
    }

    fn opening(task: &TopicsTask, config: &TopicsTrainConfig) -> gengs::Result<(Vec<String>, Vec<String>)> {
        let reading = task.reading()?;
        let mut warnings = reading.warnings(&config.text, &cli::flag);
        warnings.extend(without_effect(config, reading.text.is_some()));
        Ok((reading.sentences(&config.text), warnings))
    }

    fn line(record: &TopicsRecord) -> String {
        let validated = if record.validated_in_training { "training" } else { "validation" };
        let perplexity = if record.of_counts { "exponential of the bound of counts a word" } else { "perplexity" };
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
