//! The error type of the library. Each message is one line without control characters, since it may quote files and
//! names from anywhere.

mod other_settings;
mod torch;

use crate::markup::in_one_line;
use other_settings::other_settings;
use std::path::PathBuf;
pub use torch::TorchError;

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// Any error of this library. The message is one sentence: which value is wrong, what was allowed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter lies outside its domain.
    #[error("{} is {}, but must be {}", in_one_line(name), in_one_line(value), in_one_line(allowed))]
    InvalidParameter {
        /// The parameter's name, with the name of its family or function.
        name: String,
        /// The offending value.
        value: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// A tensor would be larger than one call of the library may make.
    #[error(
        "shape of {} is {shape:?} of {kind}, but must be at most {largest} bytes of memory in one tensor; draw in \
         parts, or raise the limit with `gengs::set_largest_tensor`",
        in_one_line(what)
    )]
    TooLarge {
        /// What it would hold.
        what: String,
        /// Its shape.
        shape: Vec<i64>,
        /// The kind of its numbers.
        kind: String,
        /// Bytes that a tensor may take.
        largest: u64,
    },
    /// A step of a training that was to begin would make such a tensor.
    #[error(
        "a step of training is too large: its {what} would have the shape {shape:?} of {kind}, and one tensor may take \
         at most {largest} bytes"
    )]
    StepTooLarge {
        /// What it would hold.
        what: String,
        /// Its shape.
        shape: Vec<i64>,
        /// The kind of its numbers.
        kind: String,
        /// Bytes that a tensor may take.
        largest: u64,
        /// Settings that make it smaller.
        settings: &'static [&'static str],
    },
    /// Tensor shapes do not fit together.
    #[error("{}: shape {found:?} does not fit {expected}", in_one_line(what))]
    Shape {
        /// The tensor or the operation whose shape is wrong.
        what: String,
        /// The shape that was given.
        found: Vec<i64>,
        /// The shape, or the condition on it, that was expected.
        expected: String,
    },
    /// The window of a truncation misses the distribution.
    #[error(
        "the window {lo}..={hi} holds only {mass:.3e} of the mass of a {family} with mean {mean:.4}; \
         widen it, or choose it by tail mass; in the library, `allow_low_mass` accepts it"
    )]
    WindowMissesMass {
        /// Name of the family.
        family: String,
        /// First atom of the window.
        lo: i64,
        /// Last atom of the window.
        hi: i64,
        /// Mass of the worst row inside the window.
        mass: f64,
        /// Mean of that row.
        mean: f64,
    },
    /// The one-pass sampler was requested explicitly, but does not support the request.
    #[error("the one-pass sampler cannot draw {what}; leave `in_one_pass` away, and the tensor graph draws the same")]
    NotInOnePass {
        /// What was to be drawn, and why the sampler cannot draw it.
        what: String,
    },
    /// Two truncated distributions have different atoms.
    #[error("the two distributions live on different atoms ({left} and {right}); truncate both in the same window")]
    DifferentAtoms {
        /// Atoms of the first distribution.
        left: String,
        /// Atoms of the second distribution.
        right: String,
    },
    /// A run's settings differ from those that its weights were trained with.
    #[error("{}: {}", path_text(path), in_one_line(&other_settings(setting, trained.as_deref(), found.as_deref())))]
    OtherSettings {
        /// The file of the weights.
        path: PathBuf,
        /// The setting, with a dot between a table and a setting in it.
        setting: String,
        /// Its value in training; `None` if it had none.
        trained: Option<String>,
        /// Its value in the run's settings; `None` if they lack it.
        found: Option<String>,
    },
    /// The data differ from those that a run was trained on.
    #[error("{} is not what the run was trained on: it has {}", in_one_line(data), in_one_line(difference))]
    OtherData {
        /// The data that were read.
        data: String,
        /// How they differ.
        difference: String,
        /// The setting that locates the data.
        setting: &'static str,
    },
    /// The file or folder of a run's data does not exist any more.
    #[error("{}: what the run was trained on is not there any more", path_text(path))]
    DataGone {
        /// The path that does not exist.
        path: PathBuf,
        /// The setting that locates the data.
        setting: &'static str,
    },
    /// The files of a named data set were not found.
    #[error("{}", in_one_line(problem))]
    NamedDataMissing {
        /// Which data set, which files were searched for, and what the data set is.
        problem: String,
    },
    /// The column of a table, or the field of JSON lines, that holds the text is unknown.
    #[error("{}: {}; say which holds the text", path_text(path), in_one_line(problem))]
    TextColumn {
        /// The file of the table or of the JSON lines.
        path: PathBuf,
        /// The columns that the file has.
        problem: String,
        /// The most likely text column.
        likely: String,
    },
    /// A double quote in a table opens a field that is never closed.
    #[error("{}: {}; write a quote within a text twice, and the text in quotes", path_text(path), in_one_line(problem))]
    Quotes {
        /// The file of the table.
        path: PathBuf,
        /// The quote, with its line number.
        problem: String,
    },
    /// The vocabulary is empty: every word of a corpus was left out.
    #[error("{}", in_one_line(problem))]
    NoWordLeft {
        /// Why the words were left out.
        problem: String,
        /// The settings that left words out, each with the value that keeps every word.
        relaxed: Vec<(&'static str, &'static str)>,
    },
    /// A split left one part of the data empty.
    #[error("{}", in_one_line(problem))]
    EmptyPart {
        /// The part that is empty.
        problem: String,
        /// `true` if the part held out for testing is empty and its share must grow; `false` if its share must shrink.
        held_out: bool,
    },
    /// A store on disk does not hold the documents of the run whose settings name it.
    #[error(
        "{}: does not hold the documents of the run, which are only written there if you ask for it",
        path_text(path)
    )]
    NotInStore {
        /// The folder of the store.
        path: PathBuf,
    },
    /// Another process trains in a run folder.
    #[error("{}: {holder} trains in it; wait until it ends, or stop it", path_text(path))]
    InUse {
        /// The run folder.
        path: PathBuf,
        /// The process that holds the lock.
        holder: String,
    },
    /// Another process writes a store of documents.
    #[error("{}: {holder} writes this store; wait until it ends, or stop it", path_text(path))]
    StoreInUse {
        /// The folder.
        path: PathBuf,
        /// Who.
        holder: String,
    },
    /// The lock of a run folder is no longer this process's.
    #[error(
        "{}: was removed or replaced while this process trained, so that another one may train in the folder: nothing \
         is saved any more",
        path_text(path)
    )]
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// A new run was to start in the folder of another run.
    #[error("{}: already holds a run ({file})", path_text(path))]
    HoldsRun {
        /// The run folder.
        path: PathBuf,
        /// The file that shows that the folder holds a run.
        file: &'static str,
    },
    /// A new run would overwrite a file, and the folder holds no run that the file could belong to.
    #[error("{}: is there already, and a run would write over it; move the file away", path_text(path))]
    InTheWay {
        /// The file that would be overwritten.
        path: PathBuf,
    },
    /// No checkpoint of a run can be read.
    #[error("{}", in_one_line(problem))]
    NoCheckpoint {
        /// Why neither the last nor the best checkpoint can be read.
        problem: String,
    },
    /// A file is missing, truncated or malformed.
    #[error("{}: {}", path_text(path), in_one_line(problem))]
    File {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file, and what to do.
        problem: String,
        /// The underlying error, if there is one.
        #[source]
        cause: Option<Cause>,
    },
    /// The device that was asked for does not exist.
    #[error("{}", in_one_line(_0))]
    Device(String),
    /// CUDA was asked for, but the CUDA part of libtorch cannot be loaded.
    #[error("CUDA cannot be loaded ({}); install the CUDA build of libtorch, or use the CPU", in_one_line(problem))]
    NoCuda {
        /// The message of the dynamic loader.
        problem: String,
    },
    /// One setting contradicts another.
    #[error("{}", in_one_line(problem))]
    Contradiction {
        /// Which settings contradict each other, and what to do.
        problem: String,
        /// The setting to change.
        setting: &'static str,
    },
    /// A setting is out of range, or a call is wrong in another way.
    #[error("{}", in_one_line(_0))]
    Config(String),
    /// The loss or a tensor stopped being finite.
    #[error(
        "{} is not finite at epoch {epoch}, step {step}; no such step changes the model, and the last checkpoint is \
         kept",
        in_one_line(what)
    )]
    NotFinite {
        /// The name of the tensor.
        what: String,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step in the epoch, counted from 1. On a GPU, the numbers are read back every ten steps; this is the step of
        /// that read.
        step: usize,
    },
    /// The loss or the gradient was not finite in every step of an epoch.
    #[error(
        "{} is not finite in any step of epoch {epoch}, and no such step changes the model, so that it trains no more",
        in_one_line(what)
    )]
    NeverFinite {
        /// The name of the tensor.
        what: String,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// The value to differentiate depends on no tensor that requires a gradient.
    #[error(
        "{what} has no graph: nothing in it requires a gradient; call `set_requires_grad(true)` on a tensor that it \
         is computed from"
    )]
    NoGraph {
        /// The tensor that has no graph.
        what: String,
    },
    /// libtorch reported an error.
    #[error("libtorch refused")]
    Torch(#[from] TorchError),
}

/// The underlying error of another error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Torch(error.into())
    }
}

/// Returns a path as text for a message.
fn path_text(path: &std::path::Path) -> String {
    in_one_line(&path.display().to_string())
}

/// What is wrong with a file: a message, and the underlying error if the message does not already say it.
#[derive(Debug)]
pub(crate) struct Problem {
    words: String,
    cause: Option<Cause>,
}

impl From<String> for Problem {
    fn from(words: String) -> Self {
        Self { words, cause: None }
    }
}

impl From<&str> for Problem {
    fn from(words: &str) -> Self {
        words.to_string().into()
    }
}

impl From<std::io::Error> for Problem {
    /// Uses the message of a refusal by `platform::open`; keeps an error of the system as the cause.
    fn from(error: std::io::Error) -> Self {
        match error.get_ref() {
            Some(refusal) => refusal.to_string().into(),
            None => Self { words: "cannot be read".into(), cause: Some(error.into()) },
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let words = error.to_string();
        let cause = match error {
            Error::File { cause, .. } => cause,
            Error::Torch(cause) => Some(cause.into()),
            _ => None,
        };
        Self { words, cause }
    }
}

impl Error {
    /// Makes the error that a parameter is out of its domain.
    pub(crate) fn parameter(name: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Self {
        Error::InvalidParameter { name: name.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// Makes the error that a number is out of its domain; very large and very small numbers are shown with an
    /// exponent.
    pub(crate) fn number(name: impl Into<String>, value: f64, allowed: impl Into<String>) -> Self {
        let is_plain = value == 0.0 || !value.is_finite() || (1e-4..1e15).contains(&value.abs());
        Self::parameter(name, if is_plain { value.to_string() } else { format!("{value:e}") }, allowed)
    }

    /// Makes the error that a file is missing, truncated or malformed.
    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl Into<Problem>) -> Self {
        let Problem { words, cause } = problem.into();
        Error::File { path: path.into(), problem: words, cause }
    }

    /// Makes the error of a file whose underlying error is `cause`.
    pub(crate) fn caused(path: impl Into<PathBuf>, problem: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Error::File { path: path.into(), problem: problem.into(), cause: Some(cause.into()) }
    }

    /// Puts the path of the file in front of the message of an error about its content.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        let named = |problem: String| format!("{}: {problem}", path_text(path));
        match self {
            Error::NoWordLeft { problem, relaxed } => Error::NoWordLeft { problem: named(problem), relaxed },
            Error::EmptyPart { problem, held_out } => Error::EmptyPart { problem: named(problem), held_out },
            error => Error::file(path, error),
        }
    }

    /// Returns the message, followed by the messages of all underlying errors, as one sentence.
    pub fn whole(&self) -> String {
        let below = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        below.fold(self.to_string(), |whole, cause| format!("{whole}: {}", in_one_line(&cause.to_string())))
    }
}

#[cfg(test)]
mod tests;
