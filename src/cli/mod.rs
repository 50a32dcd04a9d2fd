//! Code that the programs share: arguments, runs and their export, progress, training on a terminal, and exit codes.

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

pub use advice::{flag, message_with_advice};
pub use choices::{choice, choice_of};
pub use files::{check_writable, make_folder, write_file};
pub use interruption::{Interruption, catch_signals};
pub use output::{flush, print_line, write_line};
pub use progress::Meter;
pub use runs::{CheckpointArgs, Export, Trained, warn};
pub use runtime::{Common, EXIT_CODES, main, print_status};
pub use training::{RunArgs, Train, generator_seed, whole_number};
pub use waiting::restart_with_spin_count;
