//! `gengs-topics eval`.

use super::Trained;
use clap::Args;
use gengs::training::{Session, TopicsTrainee, evaluate_topics};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    trained: Trained,
    /// Hard samples a document, for the ELBO and the importance-weighted bound
    #[arg(long, default_value_t = 10, value_name = "S")]
    importance_samples: i64,
    /// Documents at once
    #[arg(long, default_value_t = 500, value_name = "N")]
    batch_size: usize,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0)]
    seed: i64,
}

impl Eval {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let Trained { run, checkpoint, data_dir, common } = &self.trained;
        let device = common.prepare()?;
        let (trainee, _) = Session::<TopicsTrainee>::load(run, checkpoint, data_dir.as_deref(), device)?;
        let (model, corpus) = (trainee.model(), trainee.corpus());
        let result = evaluate_topics(model, corpus, self.importance_samples, self.batch_size, self.seed, device)?;
        println!("{}", serde_json::to_string(&result)?);
        Ok(ExitCode::SUCCESS)
    }
}
