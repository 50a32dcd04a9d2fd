//! The Skellam distribution: the difference of two independent Poisson counts, on all integers.
//!
//! `P(X = k) = exp(-rate1 - rate2) (rate1 / rate2)^(k / 2) I_|k|(2 sqrt(rate1 rate2))`; mean `rate1 - rate2`, variance
//! `rate1 + rate2`.

use super::Poisson;
use super::distribution::{Distribution, Parameter};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{broadcast, check_positive, two};
use crate::error::Result;
use crate::math::special::{BESSEL_SWITCH, log_bessel_debye, log_bessel_series};
use tch::{Kind, Tensor};

/// A batch of Skellam distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Skellam::new(&Tensor::from(1.0), &Tensor::from(1.5))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::between(-2, 2))?; // -2 or less, ..., 2 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.2463, 0.2417, 0.2598, 0.1611, 0.0911]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Skellam {
    rate1: Tensor,
    rate2: Tensor,
    kind: Kind,
}

impl Skellam {
    /// Makes a batch from the positive rates of the first and of the subtracted Poisson count, which broadcast
    /// together.
    ///
    /// # Errors
    /// Fails if a rate is not positive or above 1e30 (the check copies the rates from their device), or if the shapes
    /// do not broadcast.
    pub fn new(rate1: &Tensor, rate2: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("Skellam", &[rate1, rate2])?;
        let (rate1, rate2) = two(parameters);
        check_positive("rate1 of Skellam", &rate1)?;
        check_positive("rate2 of Skellam", &rate2)?;
        Ok(Self { rate1, rate2, kind })
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "skellam",
    parameters: &["rate1", "rate2"],
    typical: &[3.0, 1.5],
    whole: 0,
    build: |_, p| Ok(Box::new(Skellam::new(&p[0], &p[1])?)),
};

impl Distribution for Skellam {
    fn name(&self) -> &str {
        "Skellam"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("rate1", &self.rate1), Parameter::scalar("rate2", &self.rate2)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (rate1, rate2) = two(values);
        Box::new(Self { rate1, rate2, kind: self.kind })
    }

    fn support(&self) -> Support {
        Support::INTEGERS
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        &self.rate1 - &self.rate2
    }

    fn variance(&self) -> Tensor {
        &self.rate1 + &self.rate2
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let v = k.abs();
        // `rate1` for positive `k`, `rate2` for negative.
        let log_rate = self.rate1.log().where_self(&k.ge(0.0), &self.rate2.log());
        let product = &self.rate1 * &self.rate2;
        let x = product.sqrt() * 2.0;
        let w = (v.square() + x.square()).sqrt();
        let is_small = w.lt(BESSEL_SWITCH);

        let v_small = v.clamp_max(BESSEL_SWITCH);
        let series = log_bessel_series(&v_small, &product.clamp_max(BESSEL_SWITCH.powi(2) / 4.0));
        let small = &v * &log_rate - (&v + 1.0).lgamma() - &self.rate1 - &self.rate2 + series;

        // Writes rate1 + rate2 - x as a square and w - x as a ratio, so that no large terms cancel.
        let w = w.clamp_min(BESSEL_SWITCH);
        let difference = (&self.rate1 - &self.rate2) / (self.rate1.sqrt() + self.rate2.sqrt());
        let exponent = v.square() / (&w + &x) - difference.square();
        let large = &v * (log_rate - ((&v + &w) / 2.0).log()) + exponent + log_bessel_debye(&v, &w)
            - (w * std::f64::consts::TAU).log() / 2.0;
        small.where_self(&is_small, &large)
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let draw = |rate: &Tensor| Poisson::from_checked(rate.shallow_clone(), Kind::Double).sample(sample_shape);
        Ok((draw(&self.rate1)? - draw(&self.rate2)?).to_kind(self.kind))
    }
}
