//! The one-pass sampler: relaxed draws, their gradients and the KL, with no tensor that has an atom dimension.
//!
//! The backward pass is one number a parameter, with scores `s_k = d log pi_k / d theta` and relaxed weights `w`:
//!
//! ```text
//! dz / dtheta  = sum_k w_k (k - z) s_k / temperature
//! dKL / dtheta = sum_k pi_k s_k (log pi_k - log p_k)
//! ```
//!
//! so each latent walks its window once, on the CPU, and keeps one number for each of its parameters. Autograd is
//! attached by `z + J (theta - theta.detach())`, which can be differentiated once: a second derivative is an error.
//!
//! [`OnePass::rsample`] chooses: the walk where the law is a family with [`LawBatch`] on the CPU; elsewhere the tensor
//! graph, and where that would take much memory, the tensor graph in parts, of which only `J` is kept.
//! [`OnePassDraw::drawn_by`] says which it was. The noise is the same in all of them. Second derivatives and
//! temperatures with a gradient are for [`Relaxation`](crate::relaxation::Relaxation).

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes index many arrays alike, which reads as the mathematics does"
)]

mod batch;
mod blocks;
mod draw;
mod finite_order;
mod kernel;
mod prior;
mod untruncated;

pub use crate::random::NoiseKey;
pub use draw::{Backend, OnePassDraw, Source};

use crate::checks::{LARGEST_ATOM, check_floating, check_logits, unchecked};
use crate::distributions::{Distribution, Parameter};
use crate::error::{Error, Result};
use crate::math::lanes::Real;
use crate::platform::device::is_host;
use crate::recurrences::LawBatch;
use crate::relaxation::{COLDEST, Forward, Order, Pathwise};
use crate::truncation::TruncatedDistribution;
use crate::truncation::{Truncation, check_mass};
use batch::{Batch, Windows};
use blocks::{Blocks, attach};
use kernel::Place;
use prior::{Prior, check_no_gradient};
use tch::{Device, Kind, Tensor};

/// Atoms of a window beyond which lane blocks would take more memory than a part of the tensor graph.
const WIDEST: i64 = 1 << 18;

/// Mass that a window leaves out in which the KL of a whole law is summed.
const LEFT_OUT: f64 = 1e-9;

/// What is drawn, and how.
///
/// A window is looked at before anything is drawn: it must lie in the support, and hold half of each law's mass, unless
/// [`allow_low_mass`](Self::allow_low_mass) accepts less. A training step, where reading values back costs time, leaves
/// such looks out by [`unchecked`].
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
    window: Window,
    how: Pathwise,
    prior: Option<PriorLaw<'a>>,
    allow_low_mass: bool,
    route: Route,
}

/// Which of the ways of drawing may be taken.
#[derive(Debug, Clone, Copy)]
enum Route {
    Any,
    OnePass,
    /// By tensor operations in parts of so many atoms.
    Blocks(i64),
}

#[derive(Debug, Clone, Copy)]
enum Window {
    Shared(i64, i64),
    Own(f64),
    /// None: the whole law.
    Whole,
}

#[derive(Debug, Clone, Copy)]
enum PriorLaw<'a> {
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

    /// Draws by the one-pass sampler or not at all: elsewhere than on the CPU, for families without [`LawBatch`], for
    /// logits that are neither float32 nor float64, in windows of more than 2^18 atoms, and where a tail beyond the
    /// window has more than 2^16 terms that count, [`rsample`](Self::rsample) then is an [`Error::NotInOnePass`].
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

    /// Draws of the batch shape `[..., latents]` with a gradient, of a law or of free logits, with the noise of this
    /// key and by whatever serves, unless [`in_one_pass`](Self::in_one_pass) or [`in_blocks`](Self::in_blocks) says
    /// which way to take. Where the one-pass sampler does not serve and latents asked for windows of their own, they
    /// share one that serves all.
    ///
    /// # Errors
    /// When the window is not within the support, holds less than half of the mass of some law and
    /// [`allow_low_mass`](Self::allow_low_mass) was not asked for, or cannot be found; when there is not one logit for
    /// each atom, a logit is NaN or plus infinity, a row has no finite one, or latents of logits asked for windows of
    /// their own; when a tensor cannot be made.
    pub fn rsample<'l>(&self, from: impl Into<Source<'l>>, key: NoiseKey) -> Result<OnePassDraw> {
        let from = from.into();
        self.check(from)?;
        if let (Window::Whole, Source::Law(law), Pathwise::FiniteOrder(order)) = (self.window, from, self.how) {
            return self.of_whole_law(law, order, key);
        }
        let part = match self.route {
            Route::Blocks(atoms) => Some(atoms),
            Route::Any | Route::OnePass => match self.by_one_pass(from, key)? {
                Some(draw) => return Ok(draw),
                None => None,
            },
        };
        if matches!(self.route, Route::OnePass) {
            let what = match from {
                Source::Law(law) => format!("a {} in this window on {:?}", law.name(), law.device()),
                Source::Logits(logits) => {
                    format!("logits of kind {:?} in this window on {:?}", logits.kind(), logits.device())
                }
            };
            return Err(Error::NotInOnePass { what });
        }
        self.by_tensors(from, key, part)
    }

    fn of_whole_law(&self, law: &dyn Distribution, order: Order, key: NoiseKey) -> Result<OnePassDraw> {
        let moments = untruncated::moments_of(law)?;
        let z = untruncated::draw(&moments, &law.batch_shape(), law.kind(), order, key)?;
        let kl = match self.prior {
            Some(PriorLaw::Law(prior)) => {
                let closed = prior.count_moments().and_then(|prior| untruncated::closed_kl(&moments, &prior));
                match closed {
                    Some(kl) => Some(kl.to_kind(z.kind())),
                    None => Self::finite_order_in_own_windows(LEFT_OUT, order)?.kl_to_law(prior)?.rsample(law, key)?.kl,
                }
            }
            Some(PriorLaw::Truncated(_)) | None => None,
        };
        Ok(OnePassDraw { z, kl, drawn_by: Backend::OnePass })
    }

    /// What every way of drawing looks at first.
    fn check(&self, from: Source<'_>) -> Result<()> {
        match (from, self.window) {
            (Source::Law(law), Window::Shared(lo, hi)) => {
                Truncation::between(lo, hi).resolve(law)?;
                if self.allow_low_mass { Ok(()) } else { check_mass(law, lo, hi) }
            }
            (Source::Law(_), Window::Own(_)) => Ok(()),
            (Source::Law(law), Window::Whole) => untruncated::moments_of(law).map(drop),
            (Source::Logits(logits), _) => {
                self.logits_window(logits)?;
                check_logits("a truncated distribution", logits)
            }
        }
    }

    /// By the one-pass sampler; nothing where it does not serve.
    fn by_one_pass(&self, from: Source<'_>, key: NoiseKey) -> Result<Option<OnePassDraw>> {
        match from {
            Source::Law(law) => {
                let Some(rows) = law.rows().filter(|_| is_host(law.device())) else { return Ok(None) };
                match law.kind() {
                    Kind::Double => self.of_rows::<f64>(law, rows.as_ref(), key),
                    _ => self.of_rows::<f32>(law, rows.as_ref(), key),
                }
            }
            Source::Logits(logits) => {
                let (window, shape) = self.logits_window(logits)?;
                if !is_host(logits.device()) || window.1 - window.0 >= WIDEST {
                    return Ok(None);
                }
                match logits.kind() {
                    Kind::Float => self.of_logits::<f32>(logits, window, &shape, key).map(Some),
                    Kind::Double => self.of_logits::<f64>(logits, window, &shape, key).map(Some),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Log weights of the prior in a window, if there is one.
    fn prior_in(&self, window: (i64, i64)) -> Result<Option<Prior>> {
        Ok(match self.prior {
            None => None,
            Some(PriorLaw::Truncated(prior)) => Some(Prior::of_window(prior)?),
            Some(PriorLaw::Law(law)) => Some(Prior::of_law(law, window)?),
        })
    }

    fn by_tensors(&self, from: Source<'_>, key: NoiseKey, part: Option<i64>) -> Result<OnePassDraw> {
        let law = match from {
            Source::Law(law) => law,
            Source::Logits(logits) => {
                let (window, shape) = self.logits_window(logits)?;
                let truncated = |mut values: Vec<Tensor>| {
                    unchecked(|| TruncatedDistribution::from_logits(&values.remove(0), window.0))
                };
                return self.of_parameters(&[logits_parameter(logits)], &shape, window, key, truncated, part);
            }
        };
        let shape = law.batch_shape();
        let window = match self.window {
            Window::Shared(lo, hi) => (lo, hi),
            // Laws of an empty batch need no atoms.
            Window::Own(_) if shape.contains(&0) => [law.support().nearest(0); 2].into(),
            Window::Own(tail_mass) => Truncation::tail_mass(tail_mass).resolve(law)?,
            Window::Whole => return Err(needs_a_window(law)),
        };
        let truncation = Truncation::between(window.0, window.1).allow_low_mass();
        let truncated = |values| TruncatedDistribution::new(law.with_parameters(values).as_ref(), &truncation);
        self.of_parameters(&law.parameters(), &shape, window, key, truncated, part)
    }

    fn of_parameters(
        &self,
        parameters: &[Parameter],
        shape: &[i64],
        (lo, hi): (i64, i64),
        key: NoiseKey,
        law: impl Fn(Vec<Tensor>) -> Result<TruncatedDistribution>,
        part: Option<i64>,
    ) -> Result<OnePassDraw> {
        let device = parameters.first().map_or(Device::Cpu, |parameter| parameter.value.device());
        let prior = self.prior_in((lo, hi))?.map(|prior| prior.truncated((lo, hi), device));
        let (how, window) = (self.how, (lo, hi - lo + 1));
        Blocks { how, key, parameters, shape, window, prior: prior.as_ref(), law }.draw(part)
    }

    fn of_rows<T: Real>(
        &self,
        distribution: &dyn Distribution,
        rows: &dyn LawBatch,
        key: NoiseKey,
    ) -> Result<Option<OnePassDraw>> {
        let parameters = distribution.parameters();
        let shape = distribution.batch_shape();
        let (count, latents) = extent(&shape);
        let own: Vec<(i64, i64)>;
        let (windows, widest) = match self.window {
            Window::Shared(lo, hi) if lo < 0 || hi - lo >= WIDEST => return Ok(None),
            Window::Shared(lo, hi) => (Windows::Shared((lo, hi)), (lo, hi)),
            Window::Own(tail_mass) => {
                let found: Option<Vec<_>> = (0..count).map(|latent| rows.window(latent, tail_mass, WIDEST)).collect();
                let Some(found) = found else { return Ok(None) };
                own = found;
                let lo = own.iter().map(|(lo, _)| *lo).min().unwrap_or(0);
                let hi = own.iter().map(|(_, hi)| *hi).max().unwrap_or(0);
                (Windows::Own(&own), (lo, hi))
            }
            Window::Whole => return Err(needs_a_window(distribution)),
        };
        let prior = if count > 0 { self.prior_in(widest)? } else { None };
        let place = Place { key, latents, with_kl: self.prior.is_some() };
        let batch = Batch { place, how: self.how, count, windows, prior };
        let Some(columns) = batch.of_family::<T>(rows, parameters.len())? else { return Ok(None) };
        let columns: Vec<Tensor> = columns.into_iter().map(|column| column.reshape(&shape)).collect();
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let (values, slopes) = columns.split_at(kinds);
        let value = |i: usize| {
            let slopes = slopes.iter().skip(i).step_by(kinds).map(Tensor::shallow_clone);
            attach(&values[i], parameters.iter().zip(slopes))
        };
        let kl = (kinds == 2).then(|| value(1)).transpose()?;
        Ok(Some(OnePassDraw { z: value(0)?, kl, drawn_by: Backend::OnePass }))
    }

    /// The window of logits, and their batch shape.
    fn logits_window(&self, logits: &Tensor) -> Result<((i64, i64), Vec<i64>)> {
        let Window::Shared(lo, hi) = self.window else {
            return Err(Error::Config("free logits have the window of their atoms: give it to `OnePass::new`".into()));
        };
        check_floating("logits of the one-pass sampler", logits, "a floating-point kind")?;
        let mut shape = logits.size();
        if shape.pop() != Some(hi - lo + 1) {
            return Err(Error::Shape {
                what: "logits of the one-pass sampler".into(),
                found: logits.size(),
                expected: format!("[..., {}], one for each atom of the window", hi - lo + 1),
            });
        }
        Ok(((lo, hi), shape))
    }

    fn of_logits<T: Real>(
        &self,
        logits: &Tensor,
        window: (i64, i64),
        shape: &[i64],
        key: NoiseKey,
    ) -> Result<OnePassDraw> {
        let (count, latents) = extent(shape);
        let prior = self.prior_in(window)?;
        let place = Place { key, latents, with_kl: prior.is_some() };
        let n = (window.1 - window.0 + 1) as usize;
        let batch = Batch { place, how: self.how, count, windows: Windows::Shared(window), prior };
        let parameter = logits_parameter(logits);
        let value = |column: &[Tensor]| {
            attach(&column[0].reshape(shape), std::iter::once((&parameter, column[1].reshape(logits.size()))))
        };
        let mut values = batch.of_logits::<T>(logits, n)?.chunks_exact(2).map(value).collect::<Result<Vec<_>>>()?;
        let kl = (values.len() == 2).then(|| values.swap_remove(1));
        Ok(OnePassDraw { z: values.swap_remove(0), kl, drawn_by: Backend::OnePass })
    }
}

/// Whole laws are drawn before windows are looked for.
fn needs_a_window(law: &dyn Distribution) -> Error {
    Error::parameter("window of the one-pass sampler", "none", format!("given for a {}", law.name()))
}

fn logits_parameter(logits: &Tensor) -> Parameter {
    Parameter { name: "logits".into(), value: logits.shallow_clone(), own_dims: 1 }
}

/// How many latents a batch shape has, and how many its rows.
fn extent(shape: &[i64]) -> (usize, usize) {
    (shape.iter().product::<i64>() as usize, shape.last().copied().unwrap_or(1).max(1) as usize)
}
