//! Training: the loop, schedules, checkpoints, the run folder, events for TensorBoard, weights that come from and go to PyTorch; and what is trained,
//! with its settings and its evaluation.

mod checkpoint;
mod files;
mod interval;
mod lock;
mod plan;
mod ranges;
mod recent;
mod recovery;
mod run_events;
mod run_folder;
mod schedule;
mod session;
mod tensorboard;
mod topics;
mod trainee;
mod vae;
mod watch;
pub mod weights;

pub use checkpoint::{Checkpoint, Progress};
pub use interval::{Interval, OnNan};
pub use plan::Plan;
pub use run_folder::{METRICS, RunFolder, read_settings};
pub use schedule::{Schedule, TruncationSetting};
pub use session::Session;
pub use tensorboard::EventWriter;
pub use topics::{
    Inferred, Overview, TopicsEvaluation, TopicsRecord, TopicsTrainConfig, TopicsTrainee, TrainedTopics,
    evaluate_topics,
};
pub use trainee::{Exhibit, Metric, Pace, Record, Settings, Trained, Trainee};
pub use vae::{
    EpochRecord, Evaluation, GRADIENTS, GradientRecord, TrainConfig, VaeTrainee, draw_pictures, evaluate, grid_png,
    write_grid,
};
pub use watch::{Control, StepReport};
