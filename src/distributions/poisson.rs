//! The Poisson distribution: counts of independent events at a given rate.
//!
//! `P(X = k) = rate^k exp(-rate) / k!` for `k = 0, 1, ...`; mean and variance are the rate.

use super::{Distribution, Support, broadcast, certain, check, extended};
use crate::special::log_incomplete_gamma;
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A batch of Poisson distributions.
#[derive(Debug)]
pub struct Poisson {
    rate: Tensor,
    kind: Kind,
}

impl Poisson {
    /// From positive, finite rates of any shape.
    ///
    /// # Errors
    /// When a rate is not positive and finite. The check reads the rates back from their device.
    pub fn new(rate: &Tensor) -> Result<Self> {
        let poisson = Self::new_unchecked(rate)?;
        let rate = &poisson.rate;
        check("rate of Poisson", rate, &rate.gt(0.0).logical_and(&rate.isfinite()), "positive and finite")?;
        Ok(poisson)
    }

    /// As [`new`](Self::new), without looking at the values: for training steps, where the network makes them positive.
    ///
    /// # Errors
    /// When the tensor is not floating-point.
    pub fn new_unchecked(rate: &Tensor) -> Result<Self> {
        let (mut parameters, kind) = broadcast("Poisson", &[rate])?;
        Ok(Self { rate: parameters.remove(0), kind })
    }
}

impl Distribution for Poisson {
    fn name(&self) -> &'static str {
        "Poisson"
    }

    fn batch_shape(&self) -> Vec<i64> {
        self.rate.size()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn device(&self) -> Device {
        self.rate.device()
    }

    fn support(&self) -> Support {
        Support { lowest: 0, highest: None }
    }

    fn mean(&self) -> Tensor {
        self.rate.shallow_clone()
    }

    fn variance(&self) -> Tensor {
        self.rate.shallow_clone()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        k * self.rate.log() - &self.rate - (k + 1.0).lgamma()
    }

    fn log_tails(&self, k: i64) -> (Tensor, Tensor) {
        if k <= 0 {
            return certain(&self.rate);
        }
        // P(X >= k) is the lower incomplete gamma function P(k, rate).
        let (upper, lower) = log_incomplete_gamma(k, &self.rate);
        (lower, upper)
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = extended(sample_shape, &self.batch_shape());
        let rate = self.rate.detach().f_expand(&shape, false).map_err(Error::from)?;
        Ok(rate.poisson().to_kind(self.kind))
    }

    fn unsqueeze(&self) -> Box<dyn Distribution> {
        Box::new(Self { rate: self.rate.unsqueeze(-1), kind: self.kind })
    }
}
