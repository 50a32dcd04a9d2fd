//! Topic models as a training task: settings, steps, records, evaluation.

mod batch;
mod config;
mod evaluate;
mod others;
mod record;
mod report;
mod shown;
mod start;
mod task;
mod trained;
mod words;

pub use config::TopicsTrainConfig;
pub use evaluate::{StandardErrors, TopicsEvaluation, evaluate_documents, evaluate_topics};
pub use others::OtherDocuments;
pub use record::TopicsRecord;
pub use report::TopicsReport;
pub use shown::TopicsShown;
pub(super) use start::blank;
pub use task::TopicsTask;
pub use trained::{Inferred, TrainedTopics};
pub use words::read_run_words;

use crate::error::Result;
use tch::{Device, Kind, Tensor};

/// Returns the rows of a matrix `[rows, columns]` as probabilities in float64, each row normalised to sum one.
fn rows(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    let tensor = tensor.to_kind(Kind::Double);
    to_vectors(&(&tensor / tensor.sum_dim_intlist(-1, true, None::<Kind>)))
}

/// Returns a matrix `[rows, columns]` as vectors of float64.
fn to_vectors(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(Vec::<Vec<f64>>::try_from(&tensor.to_kind(Kind::Double).to_device(Device::Cpu))?)
}
