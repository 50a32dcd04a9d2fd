//! `gengs-topics infer`: what new texts are about.

use super::tables::TableArgs;
use clap::Args;
use gengs::cli::{CheckpointArgs, Common, flush, write_line};
use gengs::data::{CorpusSet, visit_texts};
use gengs::training::{TopicsTrainConfig, TrainedTopics};
use std::path::PathBuf;
use std::process::ExitCode;

/// Texts at once.
const BATCH: usize = 500;

/// What an answer has.
const ANSWER: &str = "\
For each text, a JSON object:
  document   its number, from 0
  title      its file in a folder, or what --id-column or a column 'title' says; left out where there is nothing
  tokens     words that the run's vocabulary has, each as often as it occurs
  unknown    words that it does not have
  shares     for each layer from the lowest, and each topic, the share of the known words that are attributed to
             it, as 'topics' has it of the corpus; what is left of a layer belongs to no topic
  largest    for each layer, the topic of the largest share; null where there is none
  counts     for each layer, the posterior means of the topics' counts: what the encoder puts out. A count has
             no unit that topics share, and the topic of the largest count need not be the one that the text is
             about: compare a topic's count between texts, and topics by their shares";

#[derive(Debug, Args)]
#[command(after_long_help = ANSWER)]
pub struct Infer {
    #[command(flatten)]
    checkpoint_args: CheckpointArgs,
    /// A text a line, a table (.csv, .tsv), .jsonl, a folder of .txt files, or - for standard input; or FORMAT:PATH
    /// with the format text, csv, tsv, jsonl or folder. Cut into words as the run's corpus was
    #[arg(long, value_name = "PATH")]
    input: PathBuf,
    #[command(flatten)]
    table: TableArgs,
    /// Column or field that documents are called by: the answer has it as 'title'
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Infer {
    /// One JSON line a text, or with --json one array of all.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let (folder, _) = self.checkpoint_args.open::<TopicsTrainConfig>(&self.common)?;
        self.checkpoint_args.file(&folder)?;
        let trained = TrainedTopics::load(&self.checkpoint_args.run, &self.checkpoint_args.checkpoint, device)?;
        let json = self.common.json;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let (mut texts, mut number, mut known, mut unknown) = (Vec::new(), 0u64, 0, 0);
        let mut written = Ok(());
        let mut answer = |texts: &mut Vec<String>, titles: &mut Vec<Option<String>>| -> gengs::Result<()> {
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
                    // The visit of the texts ends here; the error that counts is the one that is kept.
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
            if texts.len() < BATCH { Ok(()) } else { answer(&mut texts, &mut titles) }
        });
        let visited = visited.and_then(|notes| answer(&mut texts, &mut titles).map(|()| notes));
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
