//! Settings: how often a checkpoint is written, and how a step that is not finite is handled.

use crate::choice::choices;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An interval: `10s`, `5m`, `200 steps`, `1 epoch`; a plain number is in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Interval {
    /// Every so many seconds; 0 is after every step.
    Seconds(f64),
    /// Every so many steps, counted from the first step of the run.
    Steps(usize),
    /// After every so many epochs.
    Epochs(usize),
}

/// The value in a settings file. Seconds are a number, which is also what versions without other units wrote.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl TryFrom<Written> for Interval {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Number(seconds) => seconds.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Interval> for Written {
    fn from(interval: Interval) -> Self {
        match interval {
            Interval::Seconds(seconds) => Written::Number(seconds),
            other => Written::Text(other.to_string()),
        }
    }
}

impl FromStr for Interval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let (number, unit) = trimmed.split_at(unit_of(trimmed));
        let number = number.trim();
        let seconds = || number.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0 && seconds.is_finite());
        let count = || number.parse::<usize>().ok().filter(|count| *count >= 1);
        let parsed = match unit {
            "" | "s" | "second" | "seconds" => seconds().map(Self::Seconds),
            "m" | "min" | "minute" | "minutes" => {
                seconds().map(|minutes| 60.0 * minutes).filter(|seconds| seconds.is_finite()).map(Self::Seconds)
            }
            "step" | "steps" => count().map(Self::Steps),
            "epoch" | "epochs" => count().map(Self::Epochs),
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::parameter(
                "checkpoint-every",
                format!("'{text}'"),
                "seconds, 0 or more, as in 10s or 10, minutes as in 5m, or at least one step or epoch as in '200 \
                 steps' or '1 epoch'",
            )
        })
    }
}

/// Returns the start of the unit. The `e` of an exponent (1e3) is not the `e` of "epochs": no letter follows it.
fn unit_of(text: &str) -> usize {
    let letter = text.find(|c: char| c.is_alphabetic() && c != 'e').unwrap_or(text.len());
    if text[..letter].ends_with('e') { letter - 1 } else { letter }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
            Self::Steps(1) => write!(f, "1 step"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
            Self::Epochs(1) => write!(f, "1 epoch"),
            Self::Epochs(epochs) => write!(f, "{epochs} epochs"),
        }
    }
}

choices! {
    "on-nan";
    /// How to handle a step whose loss or gradient is not finite. Such a step never changes the model.
    #[derive(Default)]
    pub enum OnNan {
        /// End the run with an error
        #[default]
        Stop = "stop",
        /// Skip the step, count it, and continue
        Skip = "skip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_written() {
        let cases = [
            ("10", Interval::Seconds(10.0)),
            ("0", Interval::Seconds(0.0)),
            ("3.5s", Interval::Seconds(3.5)),
            ("1e3", Interval::Seconds(1000.0)),
            ("5m", Interval::Seconds(300.0)),
            ("0.5 minutes", Interval::Seconds(30.0)),
            ("200 steps", Interval::Steps(200)),
            ("200steps", Interval::Steps(200)),
            ("1 step", Interval::Steps(1)),
            ("2epochs", Interval::Epochs(2)),
            ("1 epoch", Interval::Epochs(1)),
        ];
        for (text, expected) in cases {
            let read: Interval = text.parse().unwrap();
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.to_string().parse::<Interval>().unwrap(), expected, "{text}");
        }
        for wrong in ["", "s", "-1", "nan", "inf", "0 steps", "1.5 steps", "-2 epochs", "3 h", "1e400m", "10 s x", "é"]
        {
            let message = wrong.parse::<Interval>().unwrap_err().to_string();
            assert!(message.contains("'200 steps'"), "{wrong}: {message}");
        }
    }

    #[test]
    fn settings_files_hold_seconds_as_a_number() {
        #[derive(Serialize, Deserialize)]
        struct File {
            every: Interval,
        }
        for (text, expected) in [
            ("every = 10", "every = 10.0\n"),
            ("every = 2.5", "every = 2.5\n"),
            ("every = \"1m\"", "every = 60.0\n"),
            ("every = \"7 steps\"", "every = \"7 steps\"\n"),
        ] {
            assert_eq!(toml::to_string(&toml::from_str::<File>(text).unwrap()).unwrap(), expected);
        }
        for wrong in ["every = -1", "every = nan", "every = true", "every = \"often\""] {
            assert!(toml::from_str::<File>(wrong).is_err(), "{wrong}");
        }
    }
}
