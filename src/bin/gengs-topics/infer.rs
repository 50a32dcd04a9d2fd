//! `gengs-topics infer`: what new texts are about.

use clap::Args;
use gengs::cli::{Common, Stored};
use gengs::data::visit_texts;
use gengs::training::TrainedTopics;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Texts at once.
const BATCH: usize = 500;

#[derive(Debug, Args)]
pub struct Infer {
    #[command(flatten)]
    stored: Stored,
    /// A text a line, a .jsonl file with a field 'text' in each line, or a folder of .txt files; cut into words as the run's corpus was
    #[arg(long, value_name = "PATH")]
    input: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Infer {
    /// One JSON line a text: words that were known and unknown, and the posterior means of the counts of each layer's topics.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let trained = TrainedTopics::load(&self.stored.run, &self.stored.checkpoint, device)?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let (mut texts, mut number, mut known, mut unknown) = (Vec::new(), 0u64, 0, 0);
        let mut written = Ok(());
        let mut flush = |texts: &mut Vec<String>| -> gengs::Result<()> {
            for inferred in trained.infer(texts)? {
                let mut line = serde_json::json!(inferred);
                line["document"] = number.into();
                number += 1;
                known += inferred.tokens;
                unknown += inferred.unknown;
                if written.is_ok() {
                    written = writeln!(out, "{line}");
                }
            }
            texts.clear();
            Ok(())
        };
        visit_texts(&self.input, &mut |text, _| {
            texts.push(text.to_string());
            if texts.len() < BATCH { Ok(()) } else { flush(&mut texts) }
        })?;
        flush(&mut texts)?;
        written?;
        out.flush()?;
        self.common
            .say(format_args!("{number} texts: {known} words known, {unknown} not in the vocabulary and left out"));
        Ok(ExitCode::SUCCESS)
    }
}
