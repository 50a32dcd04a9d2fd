//! The one error type of the library. Messages quote files and names of anybody: they are one line without control
//! characters.

mod torch;

use crate::markup::in_one_line;
use std::path::PathBuf;
pub use torch::TorchError;

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong, each in one sentence that says which value, what was allowed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter lies outside its domain.
    #[error("{} is {}, but must be {}", in_one_line(name), in_one_line(value), in_one_line(allowed))]
    InvalidParameter {
        /// The parameter's name, with its owner.
        name: String,
        /// The offending value.
        value: String,
        /// What would have been accepted.
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
        /// What was being done.
        what: String,
        /// The shape that was given.
        found: Vec<i64>,
        /// What was expected.
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
    /// The one-pass sampler was asked for by name, and does not serve.
    #[error("the one-pass sampler cannot draw {what}; leave `in_one_pass` away, and the tensor graph draws the same")]
    NotInOnePass {
        /// What was to be drawn.
        what: String,
    },
    /// Two truncated distributions do not live on the same atoms.
    #[error("the two distributions live on different atoms ({left} and {right}); truncate both in the same window")]
    DifferentAtoms {
        /// Atoms of the first.
        left: String,
        /// Atoms of the second.
        right: String,
    },
    /// Data are not those that a run was trained on.
    #[error("{} is not what the run was trained on: it has {}", in_one_line(data), in_one_line(difference))]
    OtherData {
        /// What was read.
        data: String,
        /// What is other.
        difference: String,
        /// The setting that names the data.
        setting: &'static str,
    },
    /// The file or folder of a run's data is there no more.
    #[error("{}: what the run was trained on is not there any more", shown(path))]
    DataGone {
        /// Where it was.
        path: PathBuf,
        /// The setting that names the data.
        setting: &'static str,
    },
    /// The files of a named data set are not found.
    #[error("{}", in_one_line(problem))]
    NamedDataMissing {
        /// Which set, what was looked for, and what it is.
        problem: String,
    },
    /// Nothing says which column of a table, or field of a line of JSON, holds the text.
    #[error("{}: {}; say which holds the text", shown(path), in_one_line(problem))]
    TextColumn {
        /// The file.
        path: PathBuf,
        /// What columns it has.
        problem: String,
        /// The likeliest one.
        likely: String,
    },
    /// A double quote in a table begins a field that has no end.
    #[error("{}: {}; write a quote within a text twice, and the text in quotes", shown(path), in_one_line(problem))]
    Quotes {
        /// The file.
        path: PathBuf,
        /// Which, by its line.
        problem: String,
    },
    /// No word of a corpus is left to train on.
    #[error("{}", in_one_line(problem))]
    NoWordLeft {
        /// What became of the words.
        problem: String,
        /// Settings of rules that left words out, and the values by which they leave none out.
        relaxed: Vec<(&'static str, &'static str)>,
    },
    /// A split left one part of the data empty.
    #[error("{}", in_one_line(problem))]
    EmptyPart {
        /// Which.
        problem: String,
        /// Whether it is the part for testing, of which there should be more; else there should be less.
        held_out: bool,
    },
    /// A store on disk does not hold the documents of the run that names it.
    #[error("{}: does not hold the documents of the run, which are only written there if you ask for it", shown(path))]
    NotInStore {
        /// The store's folder.
        path: PathBuf,
    },
    /// Another process trains in a run folder.
    #[error("{}: {holder} trains in it; wait until it ends, or stop it", shown(path))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who.
        holder: String,
    },
    /// Another process writes a store of documents.
    #[error("{}: {holder} writes this store; wait until it ends, or stop it", shown(path))]
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
        shown(path)
    )]
    LockLost {
        /// The lock.
        path: PathBuf,
    },
    /// A new run was asked for in the folder of another one.
    #[error("{}: already holds a run ({file})", shown(path))]
    HoldsRun {
        /// The folder.
        path: PathBuf,
        /// The file that says so.
        file: &'static str,
    },
    /// A new run was asked for in a folder with a file that it would write, and nothing says that it is of a run.
    #[error("{}: is there already, and a run would write over it; move the file away", shown(path))]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// No checkpoint of a run can be read.
    #[error("{}", in_one_line(problem))]
    NoCheckpoint {
        /// What became of both.
        problem: String,
    },
    /// A file is missing, truncated or malformed.
    #[error("{}: {}", shown(path), in_one_line(problem))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
        /// What failed below, if something did.
        #[source]
        cause: Option<Cause>,
    },
    /// A device was asked for that is not there.
    #[error("{}", in_one_line(_0))]
    Device(String),
    /// CUDA was asked for, and libtorch's part for it cannot be loaded.
    #[error("CUDA cannot be loaded ({}); install the CUDA build of libtorch, or use the CPU", in_one_line(problem))]
    NoCuda {
        /// What the loader says.
        problem: String,
    },
    /// A setting that contradicts another one.
    #[error("{}", in_one_line(problem))]
    Contradiction {
        /// What contradicts what, and what to do.
        problem: String,
        /// The setting to change.
        setting: &'static str,
    },
    /// Settings that are out of range, and what else is wrong with a call.
    #[error("{}", in_one_line(_0))]
    Config(String),
    /// The loss or a tensor stopped being finite.
    #[error(
        "{} is not finite at epoch {epoch}, step {step}; no such step changes the model, and the last checkpoint is \
         kept",
        in_one_line(what)
    )]
    NotFinite {
        /// The tensor's name.
        what: String,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step in the epoch, counted from 1; on a GPU, where the numbers are looked at every ten steps, that of the
        /// look.
        step: usize,
    },
    /// No step of an epoch was finite.
    #[error(
        "{} is not finite in any step of epoch {epoch}, and no such step changes the model, so that it trains no more",
        in_one_line(what)
    )]
    NeverFinite {
        /// The tensor's name.
        what: String,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// Something was to be differentiated that depends on no tensor with a gradient.
    #[error(
        "{what} has no graph: nothing in it requires a gradient; call `set_requires_grad(true)` on a tensor that it \
         is computed from"
    )]
    NoGraph {
        /// What lacks a graph.
        what: String,
    },
    /// libtorch reported an error.
    #[error("libtorch refused")]
    Torch(#[from] TorchError),
}

/// What failed below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Torch(error.into())
    }
}

fn shown(path: &std::path::Path) -> String {
    in_one_line(&path.display().to_string())
}

/// What is wrong with a file, in words and by what failed below. An error that says all of it itself is the words.
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
    /// What the one reader of files refuses it says in a sentence; what the system refuses is a cause.
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
    pub(crate) fn parameter(name: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Self {
        Error::InvalidParameter { name: name.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// As [`parameter`](Self::parameter), of a number, which is shown with an exponent where it would take many digits.
    pub(crate) fn number(name: impl Into<String>, value: f64, allowed: impl Into<String>) -> Self {
        let is_plain = value == 0.0 || !value.is_finite() || (1e-4..1e15).contains(&value.abs());
        Self::parameter(name, if is_plain { value.to_string() } else { format!("{value:e}") }, allowed)
    }

    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl Into<Problem>) -> Self {
        let Problem { words, cause } = problem.into();
        Error::File { path: path.into(), problem: words, cause }
    }

    /// As [`file`](Self::file), with what failed below.
    pub(crate) fn caused(path: impl Into<PathBuf>, problem: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Error::File { path: path.into(), problem: problem.into(), cause: Some(cause.into()) }
    }

    /// What is wrong with the content of a file, after the file's name.
    pub(crate) fn of_file(self, path: &std::path::Path) -> Self {
        let named = |problem: String| format!("{}: {problem}", shown(path));
        match self {
            Error::NoWordLeft { problem, relaxed } => Error::NoWordLeft { problem: named(problem), relaxed },
            Error::EmptyPart { problem, held_out } => Error::EmptyPart { problem: named(problem), held_out },
            error => Error::file(path, error),
        }
    }

    /// The message and those of what failed below, as one sentence.
    pub fn whole(&self) -> String {
        let below = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        below.fold(self.to_string(), |whole, cause| format!("{whole}: {}", in_one_line(&cause.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    /// `{:#}` of a chain, as anyhow prints it, has each part once.
    #[test]
    fn what_failed_below_is_said_once() {
        let io = || std::io::Error::from_raw_os_error(2);
        let file = Error::file("a.txt", io());
        assert_eq!(file.to_string(), "a.txt: cannot be read");
        assert_eq!(file.source().unwrap().to_string(), io().to_string());
        assert_eq!(file.whole(), format!("a.txt: cannot be read: {}", io()));
        let nested = Error::file("b", Error::caused("a.txt", "cannot be made", io()));
        assert_eq!(nested.whole(), format!("b: a.txt: cannot be made: {}", io()));
        // Our own refusals are sentences, and have nothing below them.
        let refused = Error::file("c", std::io::Error::new(std::io::ErrorKind::InvalidData, "is a pipe"));
        assert!(refused.source().is_none() && refused.to_string() == "c: is a pipe");
        let torch = Error::from(tch::Tensor::from_slice(&[1.0, 2.0]).f_reshape([3]).unwrap_err());
        let below = torch.source().unwrap().to_string();
        assert!(
            below.contains("shape") && below.lines().count() == 1 && !torch.to_string().contains("shape"),
            "{below}"
        );
        assert_eq!(torch.whole(), format!("libtorch refused: {below}"));
    }
}
