//! `gengs-topics topics` and `gengs-topics tree`: what the topics of a run are.

use clap::Args;
use gengs::cli::{Trained, print_line};
use gengs::data::Corpus;
use gengs::topic_metrics::page::{About, Example, html};
use gengs::topic_metrics::{COHERENCE_WORDS, DIVERSITY_WORDS, coherence, top_words};
use gengs::training::{TopicsReport, TopicsTask, TopicsTrainConfig};
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Documents that are shown with a topic.
const EXAMPLES: usize = 3;

/// Words of a document that has no text of its own.
const WORDS_SHOWN: usize = 12;

#[derive(Debug, Args)]
pub struct Topics {
    #[command(flatten)]
    trained: Trained,
    /// Words of each topic
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    top: u32,
}

#[derive(Debug, Args)]
pub struct Tree {
    #[command(flatten)]
    trained: Trained,
    /// The page, which stands alone
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// A topic as `--json` has it.
#[derive(Debug, Serialize)]
struct Topic {
    layer: usize,
    topic: usize,
    /// Mean count over the training documents.
    prevalence: f64,
    npmi: Option<f64>,
    words: Vec<(String, f64)>,
}

/// A run's topics, with the documents that it was trained on.
fn report(trained: &Trained) -> anyhow::Result<(TopicsReport, TopicsTask, TopicsTrainConfig)> {
    let (task, config, device) = trained.load::<TopicsTask>()?;
    let report = TopicsReport::new(task.model(), task.corpus(), EXAMPLES, device)?;
    Ok((report, task, config))
}

impl Topics {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (report, task, _) = report(&self.trained)?;
        let corpus = task.corpus();
        let mut listed = Vec::new();
        for (layer, (topics, prevalence)) in report.topics.iter().zip(&report.prevalence).enumerate() {
            let npmi = corpus.train.with_all(|documents| coherence(topics, documents, COHERENCE_WORDS))?.topics;
            let mut of_layer: Vec<Topic> = (0..topics.len())
                .map(|topic| Topic {
                    layer,
                    topic,
                    prevalence: prevalence[topic],
                    npmi: npmi[topic],
                    words: words(&topics[topic], corpus, self.top as usize),
                })
                .collect();
            of_layer.sort_by(|one, other| other.prevalence.total_cmp(&one.prevalence));
            listed.extend(of_layer);
        }
        if self.trained.common.json {
            print_line(serde_json::to_string(&listed)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (number, topic) in listed.iter().enumerate() {
            if number == 0 || listed[number - 1].layer != topic.layer {
                print_line(format_args!(
                    "layer {}: topic, mean count, coherence, words and their shares",
                    topic.layer
                ))?;
            }
            let npmi = topic.npmi.map_or("   -".into(), |npmi| format!("{npmi:5.2}"));
            let words: Vec<String> = topic.words.iter().map(|(word, p)| format!("{word} {p:.3}")).collect();
            print_line(format_args!("{:4} {:7.3} {npmi}  {}", topic.topic, topic.prevalence, words.join(", ")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn words(topic: &[f64], corpus: &Corpus, count: usize) -> Vec<(String, f64)> {
    let top = top_words(topic, count);
    top.into_iter().map(|word| (corpus.vocabulary[word as usize].clone(), topic[word as usize])).collect()
}

impl Tree {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (report, task, config) = report(&self.trained)?;
        let corpus = task.corpus();
        let tree = report.tree(corpus)?;
        let mut examples = HashMap::new();
        for (&place, documents) in &report.examples {
            let shown = documents.iter().map(|&(number, weight)| Ok(Example { text: text(corpus, number)?, weight }));
            examples.insert(place, shown.collect::<gengs::Result<Vec<_>>>()?);
        }
        let sizes: Vec<String> = config.topics.iter().map(i64::to_string).collect();
        let about = About {
            title: format!("Topics of {}", config.corpus),
            settings: format!(
                "{} topics, {} counts, {} words; {} epochs, seed {}",
                sizes.join(" under "),
                config.family,
                config.likelihood,
                config.epochs,
                config.seed
            ),
            numbers: vec![
                ("documents".into(), corpus.train.len().to_string()),
                ("words".into(), corpus.train.tokens().to_string()),
                ("vocabulary".into(), corpus.vocabulary.len().to_string()),
                (format!("coherence of {COHERENCE_WORDS} words by"), "training documents".into()),
                ("diversity of".into(), format!("{DIVERSITY_WORDS} words")),
            ],
            examples,
        };
        gengs::topic_metrics::page::write(&self.html, &html(&tree, &about))?;
        if self.trained.common.json {
            print_line(serde_json::to_string(&tree)?)?;
        } else {
            self.trained.common.print_status(format_args!("{}", self.html.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A document's label, or its most frequent words where its source has no text.
fn text(corpus: &Corpus, number: usize) -> gengs::Result<String> {
    if let Some(label) = corpus.train.label(number)? {
        return Ok(label);
    }
    let mut document = corpus.train.get(number)?;
    document.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let words = document.iter().take(WORDS_SHOWN).map(|&(word, _)| corpus.vocabulary[word as usize].as_str());
    Ok(words.collect::<Vec<_>>().join(" "))
}
