//! Checks of settings, before anything is read or allocated.

use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// Checks that an integer is in a range.
pub(super) fn integer<N>(name: &str, value: N, allowed: RangeInclusive<i64>) -> Result<()>
where
    N: Copy + ToString + TryInto<i64>,
{
    match value.try_into() {
        Ok(number) if allowed.contains(&number) => Ok(()),
        _ => Err(Error::parameter(name, value, format!("an integer from {} to {}", allowed.start(), allowed.end()))),
    }
}

/// Checks that a number is in a range, and so neither NaN nor infinite.
pub(super) fn number(name: &str, value: f64, allowed: RangeInclusive<f64>) -> Result<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let lowest = *allowed.start();
    let from = match lowest {
        f64::MIN_POSITIVE => "above 0".into(),
        0.0 | 1e-3.. => format!("at least {lowest}"),
        _ => format!("at least {lowest:e}"),
    };
    Err(Error::number(name, value, format!("a number {from} and at most {}", allowed.end())))
}

/// Checks that the results of an evaluation are finite; the error names the first that is not.
pub(super) fn check_finite(results: &[(&str, f64)]) -> Result<()> {
    match results.iter().find(|(_, value)| !value.is_finite()) {
        Some((name, value)) => Err(Error::Config(format!(
            "the evaluation gives {name} = {value}, which is not finite: the weights are too large, or the data does \
             not fit the model"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_allowed_and_values_beyond_are_named() {
        assert!(integer("epochs", 1usize, 1..=5).is_ok() && integer("epochs", 5i64, 1..=5).is_ok());
        assert_eq!(
            integer("epochs", u64::MAX, 1..=5).unwrap_err().to_string(),
            format!("epochs is {}, but must be an integer from 1 to 5", u64::MAX)
        );
        assert!(number("lr", 10.0, f64::MIN_POSITIVE..=10.0).is_ok());
        for wrong in [0.0, -1.0, 10.1, f64::NAN, f64::INFINITY] {
            let message = number("lr", wrong, f64::MIN_POSITIVE..=10.0).unwrap_err().to_string();
            assert!(message.contains("lr is") && message.contains("above 0 and at most 10"), "{message}");
        }
    }
}
