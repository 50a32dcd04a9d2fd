//! VAEs as a training task: settings, steps, records, evaluation, pictures.

mod config;
mod diagnose;
mod evaluate;
mod pictures;
mod record;
mod task;

pub use config::TrainConfig;
pub use diagnose::GradientRecord;
pub use evaluate::{Evaluation, evaluate};
pub use pictures::{ShownImages, draw_pictures, grid_png, write_grid};
pub use record::EpochRecord;
pub use task::VaeTask;
