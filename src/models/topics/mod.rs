//! A topic model with counts: a deep exponential family of Poisson layers over the words of documents.
//!
//! ```text
//! z_L,k          ~ Poisson(rate_k)
//! z_l | z_{l+1}  ~ Poisson(z_{l+1} W_l + b_l),   W_l > 0, b_l > 0
//! x   | z_1      ~ words given topics, one of three laws (see Likelihood)
//! ```
//!
//! Topics are *additive* if word rates are sums over topics (Poisson and multinomial likelihood), and *log-linear* if
//! logits are. A count is the amount of a topic in a document. Inference is amortised: one network computes the
//! posteriors of all layers, from the top down. The shorter a document, the more its posterior follows the prior given
//! by a sample of the layer above, so that undecided counts have a small KL; for a long document, the posterior depends
//! on its words alone. Samples are relaxed by GenGS, and gradients pass through all layers. The KL of each layer given
//! a sample of the layer above is the exact sum over the truncated laws.
//!
//! # Source
//! Deep exponential families: Ranganath, Tang, Charlin, Blei, arXiv 1411.2581. Posteriors from the top down, of
//! documents of any length: Sonderby, Raiko, Maaloe, Sonderby, Winther, arXiv 1602.02282.

mod bags;
mod bounds;
mod config;
mod encoder;
mod evidence;
mod layer;
mod likelihood;
mod model;
mod proposal;
mod sampled;
mod slopes;
mod subsampled;
mod tables;
mod words;

pub use bags::BagOfWordsBatch;
pub use bounds::TopicsBound;
pub use config::{TopicsConfig, TopicsStart};
pub use evidence::Evidence;
pub(crate) use layer::FROM_ABOVE;
pub use likelihood::Likelihood;
pub use model::{TopicModel, TopicsElbo};
