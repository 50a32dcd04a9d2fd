//! The one-pass sampler: relaxed draws, their gradients and the KL, with no tensor that has an atom dimension.
//!
//! The backward pass of the relaxation is one number a parameter. With scores `s_k = d log pi_k / d theta` and relaxed weights `w`,
//!
//! ```text
//! dz / dtheta  = sum_k w_k (k - z) s_k / temperature
//! dKL / dtheta = sum_k pi_k s_k (log pi_k - log p_k)
//! ```
//!
//! so each latent walks its window once, on the CPU, and keeps one number for each of its parameters. Autograd is attached by
//! `z + J (theta - theta.detach())`, which is once differentiable.
//!
//! [`OnePass::draw`] chooses: the walk where the law is a family with [`Rows`] on the CPU; elsewhere the tensor graph, and where that would
//! take much memory, the tensor graph in parts, of which only `J` is kept. [`OnePassDraw::drawn_by`] says which it was. The noise is the same in all of
//! them. Second derivatives and temperatures with a gradient are for [`Relaxation`](super::Relaxation).

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes index many arrays alike, which reads as the mathematics does"
)]

mod chunks;
mod counter;
mod kernel;
mod laws;
mod math;
mod run;
mod tails;
mod tensors;
mod tile;
mod windows;

pub use counter::NoiseKey;
pub use laws::{Atom, Rows, Step, Walk, Walks, ln};
pub(crate) use math::softplus;
pub use tile::Tile;

use super::{COLDEST, Forward};
use crate::distributions::{Distribution, Parameter};
use crate::truncated::TruncatedDistribution;
use crate::truncation::Truncation;
use crate::{Error, Result};
use chunks::{Chunks, attach};
use run::{Batch, Windows};
use tch::{Device, Kind, Tensor};
use windows::Prior;

/// Atoms of a window beyond which tiles would take more memory than a part of the tensor graph.
const WIDEST: i64 = 1 << 18;

/// Draws with a gradient, and the KL to a prior.
#[derive(Debug)]
pub struct OnePassDraw {
    /// Relaxed samples, of the batch shape.
    pub z: Tensor,
    /// `KL(q || prior)` in nats, of the batch shape, if a prior was given.
    pub kl: Option<Tensor>,
    /// What drew them.
    pub drawn_by: DrawnBy,
}

/// What drew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrawnBy {
    /// The one-pass sampler.
    OnePass,
    /// The tensor graph in parts of bounded memory.
    Chunks,
    /// The tensor graph.
    TensorGraph,
}

impl std::fmt::Display for DrawnBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DrawnBy::OnePass => "one-pass sampler",
            DrawnBy::Chunks => "tensor graph in parts",
            DrawnBy::TensorGraph => "tensor graph",
        })
    }
}

/// What is drawn, and how.
#[derive(Debug, Clone, Copy)]
pub struct OnePass<'a> {
    window: Window,
    temperature: f64,
    forward: Forward,
    prior: Option<PriorLaw<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum Window {
    Shared(i64, i64),
    Own(f64),
}

#[derive(Debug, Clone, Copy)]
enum PriorLaw<'a> {
    Truncated(&'a TruncatedDistribution),
    Law(&'a dyn Distribution),
}

impl<'a> OnePass<'a> {
    /// Draws from the window `lo ..= hi` with merged tails, at a positive temperature.
    ///
    /// # Errors
    /// When the window is empty, or the temperature is not positive and finite.
    pub fn new(lo: i64, hi: i64, temperature: f64) -> Result<Self> {
        if lo > hi {
            return Err(Error::parameter("window of the one-pass sampler", format!("{lo}..={hi}"), "not empty"));
        }
        Self::with_window(Window::Shared(lo, hi), temperature)
    }

    /// Draws each latent from a window of its own: the smallest around its mean with at most half of this mass beyond each end. Its cost
    /// is that of its own atoms, whatever other latents need.
    ///
    /// # Errors
    /// When the mass is not inside (0, 1), or the temperature is not positive and finite.
    pub fn own_windows(tail_mass: f64, temperature: f64) -> Result<Self> {
        if !(tail_mass > 0.0 && tail_mass < 1.0) {
            return Err(Error::parameter("tail mass of the one-pass sampler", tail_mass, "inside (0, 1)"));
        }
        Self::with_window(Window::Own(tail_mass), temperature)
    }

    fn with_window(window: Window, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(Error::parameter("temperature of the one-pass sampler", temperature, "positive and finite"));
        }
        Ok(Self { window, temperature: temperature.max(COLDEST), forward: Forward::Soft, prior: None })
    }

    /// Chooses what the forward pass returns.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        Self { forward, ..self }
    }

    /// Also computes the KL to this law, one for the whole batch, in the same window.
    ///
    /// # Errors
    /// When the prior has a batch shape, or other atoms, or latents have windows of their own.
    pub fn kl_to(self, prior: &'a TruncatedDistribution) -> Result<Self> {
        let Window::Shared(lo, hi) = self.window else {
            return Err(Error::Config("latents with windows of their own need the prior as a law: `kl_to_law`".into()));
        };
        if !prior.batch_shape().is_empty() || prior.len() != hi - lo + 1 {
            return Err(Error::Shape {
                what: "log weights of the one-pass sampler's prior".into(),
                found: prior.log_weights().size(),
                expected: format!("[{}], one for each atom of the window", hi - lo + 1),
            });
        }
        Ok(Self { prior: Some(PriorLaw::Truncated(prior)), ..self })
    }

    /// Also computes the KL to this law, one for the whole batch, truncated in each latent's window.
    ///
    /// # Errors
    /// When the prior has a batch shape.
    pub fn kl_to_law(self, prior: &'a dyn Distribution) -> Result<Self> {
        if !prior.batch_shape().is_empty() {
            return Err(Error::Shape {
                what: "prior of the one-pass sampler".into(),
                found: prior.batch_shape(),
                expected: "[], one law for the whole batch".into(),
            });
        }
        Ok(Self { prior: Some(PriorLaw::Law(prior)), ..self })
    }

    /// Draws of the batch shape `[..., latents]` of a distribution, with the noise of this key, by whatever serves. Where the one-pass
    /// sampler does not and latents asked for windows of their own, they share one that serves all.
    ///
    /// # Errors
    /// When a window cannot be found, or a tensor cannot be made.
    pub fn draw(&self, distribution: &dyn Distribution, key: NoiseKey) -> Result<OnePassDraw> {
        match self.rsample(distribution, key)? {
            Some(draw) => Ok(draw),
            None => self.by_tensors(distribution, key, None),
        }
    }

    /// As [`draw`](Self::draw), by tensor operations in parts of at most so many atoms, where one part is not enough for the batch.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn draw_in_parts(&self, distribution: &dyn Distribution, key: NoiseKey, atoms: i64) -> Result<OnePassDraw> {
        self.by_tensors(distribution, key, Some(atoms.max(1)))
    }

    fn by_tensors(&self, distribution: &dyn Distribution, key: NoiseKey, part: Option<i64>) -> Result<OnePassDraw> {
        let (lo, hi) = match self.window {
            Window::Shared(lo, hi) => (lo, hi),
            Window::Own(tail_mass) => Truncation::tail_mass(tail_mass).resolve(distribution)?,
        };
        let truncation = Truncation::between(lo, hi).any_mass();
        let prior = match self.prior {
            Some(PriorLaw::Law(law)) => Some(TruncatedDistribution::new(law, &truncation)?),
            _ => None,
        };
        let prior = match self.prior {
            Some(PriorLaw::Truncated(prior)) => Some(prior),
            _ => prior.as_ref(),
        };
        let law = |values| TruncatedDistribution::new(distribution.with_parameters(values).as_ref(), &truncation);
        self.chunks(&distribution.parameters(), &distribution.batch_shape(), (lo, hi), prior, key, law).draw(part)
    }

    fn chunks<'b, F>(
        &self,
        parameters: &'b [Parameter],
        shape: &'b [i64],
        (lo, hi): (i64, i64),
        prior: Option<&'b TruncatedDistribution>,
        key: NoiseKey,
        law: F,
    ) -> Chunks<'b, F> {
        let (temperature, forward) = (self.temperature, self.forward);
        Chunks { temperature, forward, key, parameters, shape, window: (lo, hi - lo + 1), prior, law }
    }

    /// As [`draw`](Self::draw) by the one-pass sampler; nothing where it does not serve: elsewhere than on the CPU, for families without
    /// [`Rows`], and in windows of more than 2^18 atoms.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn rsample(&self, distribution: &dyn Distribution, key: NoiseKey) -> Result<Option<OnePassDraw>> {
        if distribution.device() != Device::Cpu {
            return Ok(None);
        }
        let Some(rows) = distribution.rows() else { return Ok(None) };
        match distribution.kind() {
            Kind::Double => self.of_rows::<f64>(distribution, rows.as_ref(), key),
            _ => self.of_rows::<f32>(distribution, rows.as_ref(), key),
        }
    }

    fn of_rows<T: math::Real>(
        &self,
        distribution: &dyn Distribution,
        rows: &dyn Rows,
        key: NoiseKey,
    ) -> Result<Option<OnePassDraw>> {
        let parameters = distribution.parameters();
        let shape = distribution.batch_shape();
        let (count, latents) = extent(&shape);
        let own: Vec<(i64, i64)>;
        let windows = match self.window {
            Window::Shared(lo, hi) if lo < 0 || hi - lo >= WIDEST => return Ok(None),
            Window::Shared(lo, hi) => Windows::Shared((lo, hi)),
            Window::Own(tail_mass) => {
                let found: Option<Vec<_>> = (0..count).map(|latent| rows.window(latent, tail_mass, WIDEST)).collect();
                let Some(found) = found else { return Ok(None) };
                own = found;
                Windows::Own(&own)
            }
        };
        let prior = match (self.prior, &windows) {
            (None, _) => None,
            (Some(PriorLaw::Truncated(prior)), _) => Some(Prior::of_window(prior)?),
            (Some(PriorLaw::Law(law)), Windows::Shared(window)) => Some(Prior::of_law(law, *window)?),
            (Some(PriorLaw::Law(law)), Windows::Own(windows)) => {
                let lo = windows.iter().map(|(lo, _)| *lo).min().unwrap_or(0);
                let hi = windows.iter().map(|(_, hi)| *hi).max().unwrap_or(0);
                Some(Prior::of_law(law, (lo, hi))?)
            }
        };
        let kernel = Batch::kernel(self.temperature, self.forward, key, latents, prior.is_some());
        let columns = Batch { kernel, count, windows, prior }.of_family::<T>(rows, parameters.len())?;
        let mut columns = columns.into_iter().map(|column| column.reshape(&shape));
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let mut values: Vec<Tensor> = columns.by_ref().take(kinds).collect();
        for parameter in &parameters {
            for value in &mut values {
                let Some(slope) = columns.next() else { continue };
                if parameter.value.requires_grad() {
                    *value = attach(value, &parameter.value, &slope, 0);
                }
            }
        }
        let kl = (kinds == 2).then(|| values.swap_remove(1));
        Ok(Some(OnePassDraw { z: values.swap_remove(0), kl, drawn_by: DrawnBy::OnePass }))
    }

    /// Draws of the shape `[..., latents]` from free, finite logits `[..., latents, n]` on the atoms of the window (implicit inference), with
    /// the noise of this key, by whatever serves.
    ///
    /// # Errors
    /// When there is not one logit for each atom, or latents asked for windows of their own.
    pub fn draw_logits(&self, logits: &Tensor, key: NoiseKey) -> Result<OnePassDraw> {
        if let Some(draw) = self.rsample_logits(logits, key)? {
            return Ok(draw);
        }
        let (window, shape) = self.logits_window(logits)?;
        let prior = match self.prior {
            Some(PriorLaw::Truncated(prior)) => Some(prior),
            _ => None,
        };
        let parameters = [Parameter { name: "logits".into(), value: logits.shallow_clone(), own_dims: 1 }];
        let law = |mut values: Vec<Tensor>| TruncatedDistribution::from_logits(&values.remove(0), window.0);
        self.chunks(&parameters, &shape, window, prior, key, law).draw(None)
    }

    /// As [`draw_logits`](Self::draw_logits) by the one-pass sampler; nothing if they are not on the CPU, or neither float32 nor float64.
    ///
    /// # Errors
    /// As [`draw_logits`](Self::draw_logits).
    pub fn rsample_logits(&self, logits: &Tensor, key: NoiseKey) -> Result<Option<OnePassDraw>> {
        let (window, shape) = self.logits_window(logits)?;
        if logits.device() != Device::Cpu || window.0 < 0 || window.1 - window.0 >= WIDEST {
            return Ok(None);
        }
        match logits.kind() {
            Kind::Float => self.of_logits::<f32>(logits, window, &shape, key).map(Some),
            Kind::Double => self.of_logits::<f64>(logits, window, &shape, key).map(Some),
            _ => Ok(None),
        }
    }

    /// The window of logits, and their batch shape.
    fn logits_window(&self, logits: &Tensor) -> Result<((i64, i64), Vec<i64>)> {
        let Window::Shared(lo, hi) = self.window else {
            return Err(Error::Config("free logits have the window of their atoms: give it to `OnePass::new`".into()));
        };
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

    fn of_logits<T: math::Real>(
        &self,
        logits: &Tensor,
        window: (i64, i64),
        shape: &[i64],
        key: NoiseKey,
    ) -> Result<OnePassDraw> {
        let (count, latents) = extent(shape);
        let prior = match self.prior {
            None => None,
            Some(PriorLaw::Truncated(prior)) => Some(Prior::of_window(prior)?),
            Some(PriorLaw::Law(law)) => Some(Prior::of_law(law, window)?),
        };
        let kernel = Batch::kernel(self.temperature, self.forward, key, latents, prior.is_some());
        let n = (window.1 - window.0 + 1) as usize;
        let batch = Batch { kernel, count, windows: Windows::Shared(window), prior };
        let columns = batch.of_logits::<T>(logits, n)?;
        let value = |column: &[Tensor]| {
            let value = column[0].reshape(shape);
            match logits.requires_grad() {
                true => attach(&value, logits, &column[1].reshape(logits.size()), 1),
                false => value,
            }
        };
        let mut values: Vec<Tensor> = columns.chunks_exact(2).map(value).collect();
        let kl = (values.len() == 2).then(|| values.swap_remove(1));
        Ok(OnePassDraw { z: values.swap_remove(0), kl, drawn_by: DrawnBy::OnePass })
    }
}

/// How many latents a batch shape has, and how many its rows.
fn extent(shape: &[i64]) -> (usize, usize) {
    (shape.iter().product::<i64>() as usize, shape.last().copied().unwrap_or(1).max(1) as usize)
}
