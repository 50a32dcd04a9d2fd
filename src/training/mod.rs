//! Training: the loop, schedules, checkpoints, the run folder, TensorBoard events, and weights from and to PyTorch; the
//! VAE and the topic model as tasks, with their settings and evaluation.

mod bound_settings;
mod checkpoint;
mod checkpoint_interval;
mod data_record;
mod elbo_metrics;
mod loaded;
mod ranges;
mod recovery;
mod run_events;
mod run_files;
mod run_folder;
mod schedule;
mod session;
mod settings;
mod side_file;
mod step_context;
mod step_metrics;
mod step_report;
mod topics;
mod train_task;
mod vae;
pub mod weights;

pub use crate::formats::tensorboard::EventWriter;
pub use checkpoint::{Checkpoint, Progress};
pub use checkpoint_interval::{Interval, OnNan};
pub use data_record::{DataRecord, check_data, must_not_be_data};
pub use elbo_metrics::{KL, NEG_ELBO};
pub use loaded::Loaded;
pub use run_files::{GRADIENTS, METRICS, RUN_FILES, RunFile, must_not_be_of_a_run};
pub use run_folder::{RunFolder, read_settings};
pub use schedule::{Schedule, TruncationSetting};
pub use session::Session;
pub use settings::{BoundSettings, DataWords, LoopConfig, Settings};
pub use step_context::StepContext;
pub use step_metrics::{Reduction, StepMeans, StepMetric};
pub use step_report::{Control, StepReport};
pub use topics::{
    Inferred, OtherDocuments, StandardErrors, TopicsEvaluation, TopicsRecord, TopicsReport, TopicsShown, TopicsTask,
    TopicsTrainConfig, TrainedTopics, evaluate_documents, evaluate_topics, read_run_words,
};
pub use train_task::{LogItem, Metric, Record, TrainTask, Trained};
pub use vae::{
    EpochRecord, Evaluation, GradientRecord, ShownImages, TrainConfig, VaeTask, draw_pictures, evaluate, grid_png,
    write_grid,
};
