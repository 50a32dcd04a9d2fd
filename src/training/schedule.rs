//! Settings that are written as short texts: schedules (`1.0..0.3`) and truncations (`12`, `tail:1e-6`).

use crate::error::{Error, Result};
use crate::truncation::Truncation;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A positive quantity that changes linearly from a first to a last value over a run; written `1.0..0.3`, or `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TextOrNumber", into = "String")]
pub struct Schedule {
    /// Value at the first step.
    pub first: f64,
    /// Value at the last step.
    pub last: f64,
}

impl Schedule {
    /// Returns the value after a fraction of the run, from 0 to 1.
    pub fn at(&self, fraction: f64) -> f64 {
        self.first + (self.last - self.first) * fraction.clamp(0.0, 1.0)
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let number = |part: &str| part.trim().parse::<f64>().ok().filter(|x| *x > 0.0 && x.is_finite());
        match (number(first), number(last)) {
            (Some(first), Some(last)) => Ok(Self { first, last }),
            _ => Err(Error::parameter("temperature", format!("'{text}'"), "a positive number, or two as in 1.0..0.3")),
        }
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}..{}", self.first, self.last) }
    }
}

/// A truncation: a number of atoms (`12`), or the tail mass that may be cut off (`tail:1e-6`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TextOrNumber", into = "String")]
pub enum TruncationSetting {
    /// This many atoms from the start of the support.
    Atoms(i64),
    /// The fewest atoms with at most this mass outside.
    TailMass(f64),
}

impl From<TruncationSetting> for Truncation {
    fn from(setting: TruncationSetting) -> Self {
        match setting {
            TruncationSetting::Atoms(n) => Truncation::right(n),
            TruncationSetting::TailMass(mass) => Truncation::tail_mass(mass),
        }
    }
}

impl FromStr for TruncationSetting {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.strip_prefix("tail:") {
            Some(mass) => mass.parse().ok().filter(|mass| (f64::MIN_POSITIVE..1.0).contains(mass)).map(Self::TailMass),
            None => text.parse().ok().filter(|n| *n >= 1).map(Self::Atoms),
        };
        parsed.ok_or_else(|| {
            Error::parameter(
                "truncation",
                format!("'{text}'"),
                "a number of atoms as in 12, or a mass below 1 as in tail:1e-6",
            )
        })
    }
}

impl std::fmt::Display for TruncationSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Atoms(n) => write!(f, "{n}"),
            Self::TailMass(mass) => write!(f, "tail:{mass:e}"),
        }
    }
}

/// The value of such a setting in a file: text or number.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Integer(i64),
    Number(f64),
}

/// Implements reading and writing of a setting as text.
macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<TextOrNumber> for $name {
            type Error = Error;

            fn try_from(written: TextOrNumber) -> Result<Self> {
                match written {
                    TextOrNumber::Text(text) => text.parse(),
                    TextOrNumber::Integer(number) => number.to_string().parse(),
                    TextOrNumber::Number(number) => number.to_string().parse(),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

serde_as_text!(Schedule, TruncationSetting);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_go_from_first_to_last() {
        let schedule: Schedule = "1.0..0.25".parse().unwrap();
        assert_eq!(schedule.at(0.0), 1.0);
        assert!((schedule.at(0.5) - 0.625).abs() < 1e-12);
        assert!((schedule.at(1.0) - 0.25).abs() < 1e-12);
        assert_eq!("0.5".parse::<Schedule>().unwrap().at(0.7), 0.5);
        for wrong in ["", "0", "-1", "nan", "1..", "1..0", "a..b", "inf"] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn texts_survive_a_round_trip() {
        for text in ["1..0.3", "0.5"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in ["12", "tail:1e-6"] {
            assert_eq!(text.parse::<TruncationSetting>().unwrap().to_string(), text);
        }
        for wrong in ["0", "-3", "tail:", "tail:0", "tail:1", "tail:nan", "12.5"] {
            assert!(wrong.parse::<TruncationSetting>().is_err(), "{wrong} was accepted");
        }
    }
}
