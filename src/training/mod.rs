//! Training: settings, schedules, checkpoints, the loop, the run folder, evaluation, pictures, events for TensorBoard, and weights
//! that come from and go to PyTorch.

mod checkpoint;
mod config;
mod diagnose;
mod evaluate;
mod model;
mod pictures;
mod run_folder;
mod schedule;
mod session;
mod tensorboard;
pub mod weights;

pub use checkpoint::{Checkpoint, Progress};
pub use config::TrainConfig;
pub use diagnose::GradientRecord;
pub use evaluate::{Evaluation, evaluate};
pub use pictures::{grid_png, write_grid};
pub use run_folder::{EpochRecord, GRADIENTS, METRICS, RunFolder};
pub use schedule::{Schedule, TruncationSetting};
pub use session::{Control, Session, StepReport, draw_pictures};
pub use tensorboard::EventWriter;
