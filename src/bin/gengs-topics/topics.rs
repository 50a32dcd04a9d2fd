//! `gengs-topics topics` and `gengs-topics tree`: the topics of a run as a list and as a page.

use anyhow::Context;
use clap::Args;
use gengs::Error;
use gengs::cli::{Trained, print_line};
use gengs::models::Inference;
use gengs::topic_metrics::page::{About, html};
use gengs::topic_metrics::{COHERENCE_WORDS, DIVERSITY_WORDS, top_words};
use gengs::training::{RunFolder, TopicsShown, TopicsTask, TopicsTrainConfig, must_not_be_data, must_not_be_of_a_run};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Topics {
    #[command(flatten)]
    trained: Trained,
    /// Present location of the run's documents; needed only before the run is finished
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    /// Words of each topic
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    top: u32,
}

#[derive(Debug, Args)]
pub struct Tree {
    #[command(flatten)]
    trained: Trained,
    /// Present location of the run's documents; needed only before the run is finished
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    /// Leave the text of documents out, for a page to share
    #[arg(long)]
    no_text: bool,
    /// File of the page, which needs no other file
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// A topic in the output of `--json`.
#[derive(Debug, Serialize)]
struct Topic {
    layer: usize,
    topic: usize,
    /// Mean count over the training documents.
    prevalence: f64,
    /// Share of the tokens of the training documents.
    token_share: f64,
    /// Share of the training documents in which this topic has the largest share of tokens.
    document_share: f64,
    npmi: Option<f64>,
    words: Vec<(String, f64)>,
}

/// Reads the topics that a finished run has stored. For an unfinished run, reads its documents and computes the topics.
fn read_topics(
    trained: &Trained,
    corpus: Option<&str>,
    text: bool,
) -> anyhow::Result<(TopicsShown, TopicsTrainConfig)> {
    let (folder, config, device) = trained.settings::<TopicsTrainConfig>()?;
    if let Some(shown) = TopicsShown::read(&folder, &trained.checkpoint_args.checkpoint)? {
        return Ok((shown, config));
    }
    let (task, config) = match trained.load_opened::<TopicsTask>(&folder, device, |config| set_corpus(config, corpus)) {
        Err(error @ Error::OtherSettings { .. }) => return Err(error.into()),
        loaded => loaded.with_context(|| {
            let run = folder.path().display();
            format!(
                "{run} has not stored the topics of this checkpoint, as a finished run does (train --resume), so that \
                its documents are needed"
            )
        })?,
    };
    Ok((TopicsShown::new(task.model(), task.corpus(), text && !config.no_text, device)?, config))
}

/// Sets the present location of a run's documents. A store is ignored: the documents are read from `corpus`.
pub fn set_corpus(config: &mut TopicsTrainConfig, corpus: Option<&str>) {
    if let Some(corpus) = corpus {
        config.corpus = corpus.into();
        config.store = None;
    }
}

impl Topics {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (shown, _) = read_topics(&self.trained, self.corpus.as_deref(), false)?;
        let (report, npmi) = (&shown.report, &shown.npmi);
        let mut listed = Vec::new();
        for (layer, (topics, prevalence)) in report.topics.iter().zip(&report.prevalence).enumerate() {
            let mut topics_of_layer: Vec<Topic> = (0..topics.len())
                .map(|topic| Topic {
                    layer,
                    topic,
                    prevalence: prevalence[topic],
                    token_share: report.token_share[layer][topic],
                    document_share: report.document_share[layer][topic],
                    npmi: npmi[layer][topic],
                    words: words(&topics[topic], &shown.vocabulary, self.top as usize),
                })
                .collect();
            topics_of_layer.sort_by(|one, other| other.token_share.total_cmp(&one.token_share));
            listed.extend(topics_of_layer);
        }
        if self.trained.common.json {
            print_line(serde_json::to_string(&listed)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (number, topic) in listed.iter().enumerate() {
            if number == 0 || listed[number - 1].layer != topic.layer {
                print_line(format_args!(
                    "layer {}: topic, its share of tokens, share of documents in which it is the largest, coherence, \
                     words and their weights",
                    topic.layer
                ))?;
            }
            let npmi = topic.npmi.map_or("   -".into(), |npmi| format!("{npmi:5.2}"));
            let words: Vec<String> = topic.words.iter().map(|(word, p)| format!("{word} {p:.3}")).collect();
            let [tokens, documents] = [topic.token_share, topic.document_share].map(|share| 100.0 * share);
            print_line(format_args!(
                "{:4} {tokens:5.1} % {documents:5.1} % {npmi}  {}",
                topic.topic,
                words.join(", ")
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the top `count` words of a topic with their weights.
fn words(topic: &[f64], vocabulary: &[String], count: usize) -> Vec<(String, f64)> {
    let top = top_words(topic, count);
    top.into_iter().map(|word| (vocabulary[word as usize].clone(), topic[word as usize])).collect()
}

impl Tree {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        must_not_be_of_a_run(&self.html)?;
        let (_, config) = RunFolder::open::<TopicsTrainConfig>(&self.trained.checkpoint_args.run)?;
        must_not_be_data(&self.html, &config)?;
        let (shown, config) = read_topics(&self.trained, self.corpus.as_deref(), !self.no_text)?;
        let examples = if self.no_text { HashMap::new() } else { shown.examples };
        let tree = shown.tree;
        let sizes: Vec<String> = config.topics.iter().map(i64::to_string).collect();
        let about = About {
            title: format!("Topics of {}", file_name(&config.corpus)),
            settings: format!(
                "{} topics, {} posteriors of counts, {} words; {} epochs, seed {}",
                sizes.join(" under "),
                if config.inference == Inference::Implicit {
                    config.inference.to_string()
                } else {
                    config.family.to_string()
                },
                config.likelihood,
                config.epochs,
                config.seed
            ),
            numbers: vec![
                ("documents".into(), shown.documents.to_string()),
                ("words".into(), shown.tokens.to_string()),
                ("vocabulary".into(), shown.vocabulary.len().to_string()),
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

/// Returns the file name of a corpus, without its folders, which may be private.
fn file_name(corpus: &str) -> String {
    Path::new(corpus).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
