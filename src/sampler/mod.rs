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
mod block;
mod blocks;
mod draw;
mod finite_order;
mod kernel;
mod options;
mod prior;
mod untruncated;

pub use crate::random::NoiseKey;
pub use draw::{Backend, OnePassDraw, Source};
pub use options::OnePass;

use crate::checks::{check_floating, check_logits, unchecked};
use crate::distributions::{Distribution, Parameter};
use crate::error::{Error, Result};
use crate::math::lanes::Real;
use crate::platform::device::is_host;
use crate::recurrences::LawBatch;
use crate::relaxation::{Order, Pathwise};
use crate::truncation::TruncatedDistribution;
use crate::truncation::{Truncation, check_mass};
use batch::{Batch, Windows};
use block::Place;
use blocks::{Blocks, attach};
use options::{PriorLaw, Route, Window};
use prior::Prior;
use tch::{Device, Kind, Tensor};

/// Atoms of a window beyond which lane blocks would take more memory than a part of the tensor graph.
const WIDEST: i64 = 1 << 18;

/// Mass that a window leaves out in which the KL of a whole law is summed.
const LEFT_OUT: f64 = 1e-9;

impl OnePass<'_> {
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
