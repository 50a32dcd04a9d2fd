//! Topic models in training: settings, steps, records, evaluation.

mod bags;
mod config;
mod evaluate;
mod record;
mod start;
mod trainee;

pub use config::TopicsTrainConfig;
pub use evaluate::{TopicsEvaluation, evaluate_topics};
pub use record::TopicsRecord;
pub use trainee::TopicsTrainee;
