//! Parsers of options: numbers in their ranges, windows, estimators.

use clap::builder::TypedValueParser;
use gengs::Truncation;
use gengs::estimators::EstimatorKind;
use gengs::laboratory::Problem;
use gengs::training::TruncationSetting;

/// Returns a parser of counts in a range.
pub fn count(min: u64, max: u64) -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(min..=max)
}

/// Returns a parser of whole numbers in a range.
pub fn whole_number(min: i64, max: i64) -> impl TypedValueParser<Value = i64> {
    clap::value_parser!(i64).range(min..=max)
}

/// Parses a number that fulfils `fits`; the error says what is `allowed`.
fn number(text: &str, fits: impl Fn(f64) -> bool, allowed: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&number| fits(number)).ok_or_else(|| format!("must be {allowed}"))
}

pub fn temperature(text: &str) -> Result<f64, String> {
    number(text, |t| (1e-4..=1000.0).contains(&t), "a number from 0.0001 to 1000")
}

pub fn learning_rate(text: &str) -> Result<f64, String> {
    number(text, |lr| lr > 0.0 && lr.is_finite(), "a positive and finite number")
}

pub fn target(text: &str) -> Result<f64, String> {
    number(text, |target| target.abs() <= 1e9, "a number from -1e9 to 1e9")
}

pub fn window(text: &str) -> Result<Truncation, String> {
    let between = text.split_once("..").map(|(lo, hi)| (lo.trim().parse::<i64>(), hi.trim().parse::<i64>()));
    if let Some((Ok(lo), Ok(hi))) = between {
        let atoms = hi.checked_sub(lo).filter(|last| (0..Problem::MOST_ATOMS).contains(last));
        let allowed = || format!("must hold from 1 to {} atoms, as in -3..3", Problem::MOST_ATOMS);
        return atoms.map(|_| Truncation::between(lo, hi)).ok_or_else(allowed);
    }
    match text.parse() {
        Ok(TruncationSetting::Atoms(n)) if n > Problem::MOST_ATOMS => {
            Err(format!("must be at most {} atoms", Problem::MOST_ATOMS))
        }
        Ok(setting) => Ok(setting.into()),
        Err(_) => {
            Err("must be a number of atoms as in 12, an interval as in -3..3, or a mass below 1 as in tail:1e-6".into())
        }
    }
}

/// Parses the names of estimators, without repetitions. Returns `None` for all of them.
pub fn estimators(names: &[String]) -> anyhow::Result<Option<Vec<EstimatorKind>>> {
    if names.iter().any(|name| name == "all") {
        return Ok(None);
    }
    let mut parsed: gengs::Result<Vec<EstimatorKind>> = names.iter().map(|name| name.parse()).collect();
    if let Ok(kinds) = &mut parsed {
        let mut seen = Vec::new();
        kinds.retain(|kind| {
            !seen.contains(kind) && {
                seen.push(*kind);
                true
            }
        });
    }
    parsed.map(Some).map_err(|_| {
        let known = EstimatorKind::ALL.map(|kind| kind.to_string()).join(", ");
        anyhow::anyhow!("--estimator is {}, but must be all, or names out of {known}", names.join(","))
    })
}
