//! `gengs-topics infer`: the topics of new texts.

use super::tables::TableArgs;
use clap::Args;
use gengs::cli::{CheckpointArgs, Common, flush, write_line};
use gengs::data::{CorpusSet, visit_texts};
use gengs::training::{TopicsTrainConfig, TrainedTopics};
use std::path::PathBuf;
use std::process::ExitCode;

/// Texts per batch.
const BATCH: usize = 500;

/// The fields of the output, for the long help.
const ANSWER: &str = "\
Output for each text, a JSON object:
  document   number of the text, from 0
  title      file name in a folder, or the value of --id-column or of a column 'title'; left out if there is none
  tokens     number of words of the text that are in the run's vocabulary, with repetitions
  unknown    number of words that are not in the vocabulary
  shares     for each layer from the lowest, and each topic: the share of the known words that are attributed to
             it, as 'topics' shows it for the corpus; the rest of a layer belongs to no topic
  largest    for each layer, the topic of the largest share; null if there is none
  counts     for each layer, the posterior means of the topics' counts, from the encoder. Counts of different
             topics have different units, so the topic of the largest count need not be the main topic of the
             text: compare the count of one topic between texts, and compare topics by their shares";

#[derive(Debug, Args)]
#[command(after_long_help = ANSWER)]
pub struct Infer {
    #[command(flatten)]
    checkpoint_args: CheckpointArgs,
    /// New texts: a file with one text per line, a table (.csv, .tsv), .jsonl, a folder of .txt files, or - for
    /// standard input; or FORMAT:PATH with the format text, csv, tsv, jsonl or folder. Words are cut as in the run's
    /// corpus
    #[arg(long, value_name = "PATH")]
    input: PathBuf,
    #[command(flatten)]
    table: TableArgs,
    /// Column or field with the names of documents, written to 'title'
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Infer {
    /// Prints one JSON line per text; with --json, one array.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let (folder, _) = self.checkpoint_args.open::<TopicsTrainConfig>(&self.common)?;
        self.checkpoint_args.file(&folder)?;
        let trained = TrainedTopics::load(&self.checkpoint_args.run, &self.checkpoint_args.checkpoint, device)?;
        let json = self.common.json;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let (mut texts, mut number, mut known, mut unknown) = (Vec::new(), 0u64, 0, 0);
        let mut written = Ok(());
        let mut write_topics = |texts: &mut Vec<String>, titles: &mut Vec<Option<String>>| -> gengs::Result<()> {
            for (inferred, title) in trained.infer(texts)?.into_iter().zip(titles.drain(..)) {
                let mut line = serde_json::json!(inferred);
                line["document"] = number.into();
                if let Some(title) = title {
                    line["title"] = title.into();
                }
                let before = match (json, number) {
                    (false, _) => "",
                    (true, 0) => "[",
                    (true, _) => ",",
                };
                number += 1;
                known += inferred.tokens;
                unknown += inferred.unknown;
                written = write_line(&mut out, format_args!("{before}{line}"));
                if written.is_err() {
                    // An error ends the reading of texts; `written` keeps the error that is reported.
                    return Err(gengs::Error::Config("standard output cannot be written".into()));
                }
            }
            texts.clear();
            Ok(())
        };
        let source = match self.input.to_str() {
            Some(name) => CorpusSet::from_name(name),
            None => CorpusSet::Path { path: self.input.clone(), format: None },
        };
        let columns = self.table.columns(self.id_column.as_ref());
        let mut titles = Vec::new();
        let visited = visit_texts(&source, &columns, &mut |text, title| {
            texts.push(text.to_string());
            titles.push(title.map(String::from));
            if texts.len() < BATCH { Ok(()) } else { write_topics(&mut texts, &mut titles) }
        });
        let visited = visited.and_then(|notes| write_topics(&mut texts, &mut titles).map(|()| notes));
        written?;
        let notes = visited?;
        if json {
            write_line(&mut out, if number == 0 { "[]" } else { "]" })?;
        }
        flush(&mut out)?;
        notes.iter().for_each(|note| self.common.print_status(note));
        self.common.print_status(format_args!(
            "{number} texts: {known} words known, {unknown} not in the vocabulary and left out"
        ));
        Ok(ExitCode::SUCCESS)
    }
}
