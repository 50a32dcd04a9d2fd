//! Finite-order pathwise gradients (Fini): exact samples, weights of the slope that are exact for polynomials.
//!
//! `f` is evaluated at exact samples, and its slope there multiplied by a weight `w(z)` of least norm for which the
//! gradient is exact for every `f` that is, in each latent by itself, a polynomial of a degree up to the order
//! ([`FiniteOrder`] has the mathematics). No temperature, one evaluation a sample; order 1 is straight-through at the
//! mean. The quantity `order` of an [`Info`](super::Info) is the mean order in force over the latents: it is lower
//! where fewer atoms carry mass.
//!
//! # What it needs
//! Of `f`: a slope at the atoms that tells of their neighbours. Of the law: atoms that are numbers, but for order 1.
//!
//! # Source
//! He, Wu, "Extending pathwise gradients to discrete random variables via finite-order relaxation" (2026).

use super::estimate::{Estimate, ExactSamples};
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds, LawNeeds, Unbiased};
use crate::error::Result;
use crate::relaxation::{FiniteOrder, Order};
use tch::{Kind, Tensor};

/// Differentiates exact samples by weights of finite order.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Fini};
/// use gengs::prelude::*;
/// use gengs::relaxation::Order;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Fini::new(Order::Second).estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.2, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Fini {
    order: Order,
}

impl Fini {
    /// Of this order.
    pub fn new(order: Order) -> Self {
        Self { order }
    }
}

const fn facts(name: &'static str, degree: i64, needs_of_law: LawNeeds) -> Facts {
    Facts {
        approach: Approach::AtExactSamples,
        unbiased: Unbiased::Never,
        exact_degree: degree,
        needs_of_f: FunctionNeeds::SlopeAtAtoms,
        needs_of_law,
        ..Facts::new(name)
    }
}

pub(super) const FINI_1: Facts = facts("fini-1", 1, LawNeeds::Any);
pub(super) const FINI_2: Facts = facts("fini-2", 2, LawNeeds::Numbers);
pub(super) const FINI_3: Facts = facts("fini-3", 3, LawNeeds::Numbers);

impl Estimator for Fini {
    fn facts(&self) -> &'static Facts {
        match self.order {
            Order::First => &FINI_1,
            Order::Second => &FINI_2,
            Order::Third => &FINI_3,
        }
    }

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let fini = FiniteOrder::new(of.law, self.order)?;
        let value = of.value(&fini.rsample(&[of.samples])?)?;
        let order = fini.orders().to_kind(Kind::Double).mean(None::<Kind>);
        Ok(Estimate::mean_of(&value, of.samples).quantity("order", &order))
    }

    fn at_atoms(&self, of: &Expectation<'_>, index: &Tensor) -> Result<Option<ExactSamples>> {
        let fini = FiniteOrder::new(of.law, self.order)?;
        let orders = fini.orders();
        let degree = if orders.numel() == 0 { self.order.degree() } else { orders.min().int64_value(&[]) };
        Ok(Some(ExactSamples { z: fini.at(index)?, degree }))
    }
}
