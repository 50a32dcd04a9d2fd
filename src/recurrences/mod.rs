//! Laws as `f64` recurrences: log weights and scores of the atoms of a window, from one atom to the next.
//!
//! A user-defined law does not need this: it is sampled by the tensor graph. The one-pass sampler also draws from it if
//! its [`Distribution::rows`](crate::distributions::Distribution::rows) returns a [`PmfRecurrence`] as [`Recurrences`]:
//!
//! ```
//! use gengs::distributions::Parameter;
//! use gengs::prelude::*;
//! use gengs::recurrences::{Atom, LawBatch, PmfRecurrence, Recurrences, Step};
//! use gengs::sampler::{Backend, NoiseKey, OnePass};
//! use tch::{Kind, Tensor};
//!
//! /// How often a coin lands on heads before the first tails: `P(X = k) = (1 - heads) heads^k`.
//! #[derive(Debug)]
//! struct Streak(Tensor);
//!
//! #[derive(Clone, Copy)]
//! struct Plain(f64);
//!
//! impl PmfRecurrence for Plain {
//!     fn atom(&self, k: f64) -> Atom {
//!         let Plain(heads) = *self;
//!         Atom { log_weight: (1.0 - heads).ln() + k * heads.ln(), scores: [k / heads - 1.0 / (1.0 - heads), 0.0] }
//!     }
//!     fn ratio(&self, _: Step) -> f64 {
//!         self.0
//!     }
//!     fn log_ratio(&self, _: Step) -> f64 {
//!         self.0.ln()
//!     }
//!     fn score_steps(&self, _: Step) -> [f64; 2] {
//!         [1.0 / self.0, 0.0]
//!     }
//!     fn mean(&self) -> f64 {
//!         self.0 / (1.0 - self.0)
//!     }
//! }
//!
//! impl Distribution for Streak {
//!     fn name(&self) -> &str {
//!         "Streak"
//!     }
//!     fn kind(&self) -> Kind {
//!         Kind::Double
//!     }
//!     fn parameters(&self) -> Vec<Parameter> {
//!         vec![Parameter::scalar("heads", &self.0)]
//!     }
//!     fn with_parameters(&self, mut values: Vec<Tensor>) -> Box<dyn Distribution> {
//!         Box::new(Streak(values.remove(0)))
//!     }
//!     fn support(&self) -> Support {
//!         Support::from(0)
//!     }
//!     fn mean(&self) -> Tensor {
//!         &self.0 / self.0.neg().log1p().exp()
//!     }
//!     fn variance(&self) -> Tensor {
//!         &self.0 / self.0.neg().log1p().exp().square()
//!     }
//!     fn log_pmf(&self, k: &Tensor) -> Tensor {
//!         k * self.0.log() + self.0.neg().log1p()
//!     }
//!     fn rows(&self) -> Option<Box<dyn LawBatch>> {
//!         Some(Box::new(Recurrences::new(&[self.0.shallow_clone()], |[heads, _]| Plain(heads))?))
//!     }
//! }
//!
//! let heads = Tensor::from_slice(&[0.3, 0.6]);
//! let (sampler, key) = (OnePass::new(0, 15, 0.5)?, NoiseKey::new(0, 0));
//! let draw = sampler.rsample(&Streak(heads.shallow_clone()), key)?;
//! assert_eq!(draw.drawn_by, Backend::OnePass);
//! let same = sampler.rsample(&Geometric::new(&(1.0 - heads))?, key)?;
//! assert!((draw.z - same.z).abs().max().double_value(&[]) < 1e-12);
//! # Ok::<(), gengs::Error>(())
//! ```

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes index many arrays alike, which reads as the mathematics does"
)]

mod batch;
mod lane_block;
mod linear;
mod recurrence;
mod tails;
mod window;

pub use batch::{LawBatch, Recurrences};
pub(crate) use lane_block::LaneBlock;
pub use recurrence::{Atom, PmfRecurrence, Step, ln};
