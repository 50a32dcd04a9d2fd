//! The one error type of the library. Messages quote files and names of anybody: they are one line without control characters.

use crate::markup::in_one_line;
use std::path::PathBuf;

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
    #[error(
        "{} is not what the run was trained on: it has {}; \
         say where the run's own data are now with {flag}, or, of a named set, with --data-dir",
        in_one_line(data),
        in_one_line(difference)
    )]
    OtherData {
        /// What was read.
        data: String,
        /// What is other.
        difference: String,
        /// The option that names the data.
        flag: String,
    },
    /// A file is missing, truncated or malformed.
    #[error("{}: {}", in_one_line(&path.display().to_string()), in_one_line(problem))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A device was asked for that is not there.
    #[error("{0}")]
    Device(String),
    /// Settings that contradict each other or are out of range.
    #[error("{}", in_one_line(_0))]
    Config(String),
    /// The loss or a tensor stopped being finite.
    #[error(
        "{} is not finite at epoch {epoch}, step {step}; no such step changes the model, and the last checkpoint is kept: leave such steps out with --resume --on-nan skip, \
         or start anew with a smaller --lr (and --init-from a checkpoint), or inspect the data",
        in_one_line(what)
    )]
    NotFinite {
        /// The tensor's name.
        what: String,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step in the epoch, counted from 1; on a GPU, where the numbers are looked at every ten steps, that of the look.
        step: usize,
    },
    /// Something was to be differentiated that depends on no tensor with a gradient.
    #[error(
        "{what} has no graph: nothing in it requires a gradient; call `set_requires_grad(true)` on a tensor that it is computed from"
    )]
    NoGraph {
        /// What lacks a graph.
        what: String,
    },
    /// libtorch reported an error; only its first line is kept.
    #[error("libtorch: {0}")]
    Torch(String),
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

    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl ToString) -> Self {
        Error::File { path: path.into(), problem: problem.to_string() }
    }
}

impl From<tch::TchError> for Error {
    /// Drops the C++ backtrace that libtorch appends to its message.
    fn from(error: tch::TchError) -> Self {
        Error::Torch(first_line(&error.to_string()))
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_string()
}
