//! `gengs-vae sample`.

use clap::Args;
use gengs::cli::{Trained, print_line};
use gengs::training::{VaeTask, draw_pictures};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Sample {
    #[command(flatten)]
    trained: Trained,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0)]
    seed: i64,
    /// Where the samples go; the reconstructions go beside it, as NAME-reconstructions.png
    #[arg(long, value_name = "FILE")]
    png: PathBuf,
}

impl Sample {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (task, _, _) = self.trained.load::<VaeTask>()?;
        tch::manual_seed(self.seed);
        let stem = self.png.file_stem().unwrap_or_default().to_string_lossy();
        let reconstructions = self.png.with_file_name(format!("{stem}-reconstructions.png"));
        draw_pictures(task.vae(), task.data(), &self.png, &reconstructions)?;
        let common = &self.trained.common;
        if common.json {
            print_line(serde_json::json!({ "samples": self.png, "reconstructions": reconstructions }))?;
        } else {
            common.print_status(format_args!("{} and {}", self.png.display(), reconstructions.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
