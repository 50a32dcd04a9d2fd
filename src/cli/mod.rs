//! What the binaries share: arguments, runs and their export, progress, a training run on a terminal, how a program
//! ends.

mod advice;
mod choices;
mod files;
mod interruption;
mod output;
mod progress;
mod runs;
mod runtime;
mod training;
mod waiting;

pub use advice::{flag, said};
pub use choices::{choice, choice_of};
pub use files::{check_writable, make_folder, write_file};
pub use interruption::{Interruption, interrupted};
pub use output::{flush, print_line, write_line};
pub use progress::Meter;
pub use runs::{CheckpointArgs, Export, Trained, warn};
pub use runtime::{Common, EXIT_CODES, main, print_status};
pub use training::{RunArgs, Train, generator_seed, whole_number};
pub use waiting::start_again;
