//! What is drawn and how: the options of the one-pass sampler.

use super::prior::check_no_gradient;
use crate::checks::LARGEST_ATOM;
use crate::distributions::Distribution;
use crate::error::{Error, Result};
use crate::relaxation::{COLDEST, Forward, Order, Pathwise};
use crate::truncation::{TruncatedDistribution, Truncation};

/// What is drawn, and how.
///
/// A window is looked at before anything is drawn: it must lie in the support, and hold half of each law's mass, unless
/// [`allow_low_mass`](Self::allow_low_mass) accepts less. A training step, where reading values back costs time, leaves
/// such looks out by [`unchecked`](crate::unchecked).
///
/// ```
/// use gengs::prelude::*;
/// use gengs::sampler::{NoiseKey, OnePass};
/// use tch::Tensor;
///
/// let rate = Tensor::from_slice(&[0.5, 2.0]).set_requires_grad(true);
/// let sampler = OnePass::new(0, 11, 0.5)?;
/// let draw = sampler.rsample(&Poisson::new(&rate)?, NoiseKey::new(0, 0))?;
/// draw.z.sum(tch::Kind::Double).backward();
/// let slopes = Vec::<f64>::try_from(rate.grad())?;
/// assert!(slopes.iter().all(|slope| *slope > 0.0));
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OnePass<'a> {
    pub(super) window: Window,
    pub(super) how: Pathwise,
    pub(super) prior: Option<PriorLaw<'a>>,
    pub(super) allow_low_mass: bool,
    pub(super) route: Route,
}

/// Which of the ways of drawing may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    Any,
    OnePass,
    /// By tensor operations in parts of so many atoms.
    Blocks(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Window {
    Shared(i64, i64),
    Own(f64),
    /// None: the whole law.
    Whole,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum PriorLaw<'a> {
    Truncated(&'a TruncatedDistribution),
    Law(&'a dyn Distribution),
}

impl Window {
    fn shared(lo: i64, hi: i64) -> Result<Self> {
        if lo > hi || lo < -LARGEST_ATOM || hi > LARGEST_ATOM {
            let allowed = format!("not empty, and within -{LARGEST_ATOM}..={LARGEST_ATOM}");
            return Err(Error::parameter("window of the one-pass sampler", format!("{lo}..={hi}"), allowed));
        }
        Ok(Window::Shared(lo, hi))
    }

    fn own(tail_mass: f64) -> Result<Self> {
        if !(tail_mass > 0.0 && tail_mass < 1.0) {
            return Err(Error::parameter("tail mass of the one-pass sampler", tail_mass, "inside (0, 1)"));
        }
        Ok(Window::Own(tail_mass))
    }
}

fn relaxed(temperature: f64) -> Result<Pathwise> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(Error::parameter("temperature of the one-pass sampler", temperature, "positive and finite"));
    }
    Ok(Pathwise::Relaxed { temperature: temperature.max(COLDEST), forward: Forward::Soft })
}

impl<'a> OnePass<'a> {
    /// Draws from the window `lo ..= hi` with merged tails, at a positive temperature.
    ///
    /// # Errors
    /// When the window is empty or out of range, or the temperature is not positive and finite.
    pub fn new(lo: i64, hi: i64, temperature: f64) -> Result<Self> {
        Ok(Self::of(Window::shared(lo, hi)?, relaxed(temperature)?))
    }

    /// Draws each latent from a window of its own around its mean, of two atoms or more, with at most half of this mass
    /// beyond each end, as a geometric series bounds it: hardly wider than need be for small masses. Its cost is that
    /// of its own atoms, whatever other latents need.
    ///
    /// # Errors
    /// When the mass is not inside (0, 1), or the temperature is not positive and finite.
    pub fn own_windows(tail_mass: f64, temperature: f64) -> Result<Self> {
        Ok(Self::of(Window::own(tail_mass)?, relaxed(temperature)?))
    }

    /// Draws from the window `lo ..= hi` with merged tails, with a gradient of this kind.
    ///
    /// # Errors
    /// When the window is empty or out of range, or a temperature is not positive and finite.
    pub fn pathwise(lo: i64, hi: i64, how: Pathwise) -> Result<Self> {
        match how {
            Pathwise::Relaxed { temperature, forward } => Ok(Self::new(lo, hi, temperature)?.forward(forward)),
            Pathwise::FiniteOrder(order) => Self::finite_order(lo, hi, order),
        }
    }

    /// Draws exact samples from the window `lo ..= hi` with merged tails, with a gradient that is exact for polynomials
    /// up to the order ([`FiniteOrder`](crate::relaxation::FiniteOrder)): no temperature, and less work than a relaxed
    /// draw. The integers are those of the law in float64, whatever the kind of its parameters.
    ///
    /// # Errors
    /// When the window is empty or out of range.
    pub fn finite_order(lo: i64, hi: i64, order: Order) -> Result<Self> {
        Ok(Self::of(Window::shared(lo, hi)?, Pathwise::FiniteOrder(order)))
    }

    /// The same from [windows of each latent's own](Self::own_windows).
    ///
    /// # Errors
    /// When the mass is not inside (0, 1).
    pub fn finite_order_in_own_windows(tail_mass: f64, order: Order) -> Result<Self> {
        Ok(Self::of(Window::own(tail_mass)?, Pathwise::FiniteOrder(order)))
    }

    /// Draws exact samples of the whole law, without a window, with a gradient of this order: of a Poisson, Bernoulli,
    /// binomial, geometric or negative binomial, at a cost that does not grow with the mean. The gradient is that of
    /// closed forms, the KL too where there is one; else it is summed in a window of each latent's own that leaves out
    /// 1e-9 of the mass.
    ///
    /// ```
    /// use gengs::prelude::*;
    /// use gengs::relaxation::Order;
    /// use gengs::sampler::{NoiseKey, OnePass};
    /// use tch::{Kind, Tensor};
    ///
    /// let rate = Tensor::from_slice(&[0.5, 1e6]).set_requires_grad(true);
    /// let draw = OnePass::untruncated(Order::Second).rsample(&Poisson::new(&rate)?, NoiseKey::new(0, 0))?;
    /// draw.z.sum(Kind::Double).backward();
    /// // The weight of the slope at z, in the rate, is (z + rate) / (2 rate).
    /// let expected = (draw.z.detach() + &rate) / (&rate * 2.0);
    /// assert!((rate.grad() - expected).abs().max().double_value(&[]) < 1e-12);
    /// # Ok::<(), gengs::Error>(())
    /// ```
    pub fn untruncated(order: Order) -> Self {
        Self::of(Window::Whole, Pathwise::FiniteOrder(order))
    }

    fn of(window: Window, how: Pathwise) -> Self {
        Self { window, how, prior: None, allow_low_mass: false, route: Route::Any }
    }

    /// Chooses what the forward pass of a relaxed draw returns; draws of finite order are exact samples.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        match self.how {
            Pathwise::Relaxed { temperature, .. } => Self { how: Pathwise::Relaxed { temperature, forward }, ..self },
            Pathwise::FiniteOrder(_) => self,
        }
    }

    /// Accepts a window with less than half of the mass.
    #[must_use]
    pub fn allow_low_mass(self) -> Self {
        Self { allow_low_mass: true, ..self }
    }

    /// Draws by the one-pass sampler or not at all. [`rsample`](Self::rsample) is an [`Error::NotInOnePass`] elsewhere
    /// than on the CPU, for families without [`LawBatch`](crate::recurrences::LawBatch), for logits that are neither
    /// float32
    /// nor float64, in windows of more than 2^18 atoms, and if a tail beyond the window has more than 2^16 terms that
    /// count.
    #[must_use]
    pub fn in_one_pass(self) -> Self {
        Self { route: Route::OnePass, ..self }
    }

    /// Draws by tensor operations, in parts of at most so many atoms where one part is not enough for the batch.
    #[must_use]
    pub fn in_blocks(self, atoms: i64) -> Self {
        Self { route: Route::Blocks(atoms.max(1)), ..self }
    }

    /// Also computes the KL to this law, one for the whole batch, in the same window. It gets no gradient.
    ///
    /// # Errors
    /// When the prior has a batch shape, other atoms, or a gradient, or latents have windows of their own.
    pub fn kl_to(self, prior: &'a TruncatedDistribution) -> Result<Self> {
        let Window::Shared(lo, hi) = self.window else {
            return Err(Error::Config("latents with windows of their own need the prior as a law: `kl_to_law`".into()));
        };
        if !prior.batch_shape().is_empty() {
            return Err(Error::Shape {
                what: "log weights of the one-pass sampler's prior".into(),
                found: prior.log_weights().size(),
                expected: format!("[{}], one for each atom of the window", hi - lo + 1),
            });
        }
        prior.check_window(lo, hi)?;
        check_no_gradient(prior.log_weights())?;
        Ok(Self { prior: Some(PriorLaw::Truncated(prior)), ..self })
    }

    /// Also computes the KL to this law, one for the whole batch, truncated in each latent's window. It gets no
    /// gradient.
    ///
    /// # Errors
    /// When the prior has a batch shape or a gradient, or the window is not within its support.
    pub fn kl_to_law(self, prior: &'a dyn Distribution) -> Result<Self> {
        if !prior.batch_shape().is_empty() {
            return Err(Error::Shape {
                what: "prior of the one-pass sampler".into(),
                found: prior.batch_shape(),
                expected: "[], one law for the whole batch".into(),
            });
        }
        if let Window::Shared(lo, hi) = self.window {
            Truncation::between(lo, hi).resolve(prior)?;
        }
        prior.parameters().iter().try_for_each(|parameter| check_no_gradient(&parameter.value))?;
        Ok(Self { prior: Some(PriorLaw::Law(prior)), ..self })
    }
}
