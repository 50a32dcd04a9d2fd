//! A finite mixture: one of several distributions, of any families, chosen with given weights.
//!
//! `P(X = k) = sum_i softmax(logits)_i P_i(X = k)`. Tails, partial expectations and moments are weighted sums over the
//! components.

use super::Categorical;
use super::distribution::{Distribution, Parameter, masked_log_pmf};
use super::family_entry::{FamilyEntry, side_by_side};
use super::support::Support;
use super::{Geometric, Poisson};
use crate::checks::{broadcast_shape, broadcasts, extended, log_zero_one, single};
use crate::error::{Error, Result};
use crate::math::LOG_ZERO;
use tch::{Kind, Tensor};

/// A batch of mixtures of the same families.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let counts = Poisson::new(&Tensor::from(1.0))?;
/// let waits = Geometric::new(&Tensor::from(0.5))?;
/// let halves = Categorical::new(&Tensor::from_slice(&[1.0, 1.0]))?; // either, equally likely
/// let law = Mixture::new(&halves, vec![Box::new(counts), Box::new(waits)])?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.4339, 0.3089, 0.1545, 0.1027]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Mixture {
    logits: Tensor,
    log_weights: Tensor,
    components: Vec<Box<dyn Distribution>>,
    support: Support,
    kind: Kind,
}

impl Mixture {
    /// Makes mixtures from the law of the component's index and from the components, in the order of its classes. All
    /// batch shapes broadcast together.
    ///
    /// # Errors
    /// Fails if the number of components is not the number of classes, or if the shapes do not broadcast.
    pub fn new(weights: &Categorical, components: Vec<Box<dyn Distribution>>) -> Result<Self> {
        if components.is_empty() {
            return Err(Error::parameter("components of Mixture", "none", "at least one"));
        }
        let logits = single(weights.parameters()).value;
        let count = components.len() as i64;
        if logits.size().last() != Some(&count) {
            return Err(Error::Shape {
                what: "weights of Mixture".into(),
                found: logits.size(),
                expected: format!("[..., {count}]: one weight per component"),
            });
        }
        let mut batch_shape = weights.batch_shape();
        for component in &components {
            let shape = component.batch_shape();
            if !broadcasts(&shape, &batch_shape) {
                return Err(Error::Shape {
                    what: format!("batch shape of the component {} of Mixture", component.name()),
                    found: shape,
                    expected: format!("the batch shape {batch_shape:?} of the weights and the components before it"),
                });
            }
            batch_shape = broadcast_shape(&batch_shape, &shape);
        }
        let double = weights.kind() == Kind::Double || components.iter().any(|c| c.kind() == Kind::Double);
        let kind = if double { Kind::Double } else { Kind::Float };
        let expanded = |parameter: Parameter| {
            let own = &parameter.value.size()[parameter.value.dim() - parameter.own_dims..];
            parameter.value.expand(extended(&batch_shape, own), false)
        };
        let logits = expanded(single(weights.parameters()));
        let components: Vec<_> = components
            .iter()
            .map(|component| component.with_parameters(component.parameters().into_iter().map(expanded).collect()))
            .collect();
        let ends =
            |end: fn(Support) -> Option<i64>| components.iter().map(|c| end(c.support())).collect::<Option<Vec<_>>>();
        let support = Support {
            lowest: ends(|support| support.lowest).and_then(|ends| ends.into_iter().min()),
            highest: ends(|support| support.highest).and_then(|ends| ends.into_iter().max()),
        };
        Ok(Self::from_checked(logits, components, support, kind))
    }

    /// Makes mixtures of components that already have the batch shape.
    fn from_checked(logits: Tensor, components: Vec<Box<dyn Distribution>>, support: Support, kind: Kind) -> Self {
        Self { log_weights: logits.log_softmax(-1, Kind::Double), logits, components, support, kind }
    }

    /// Computes `log sum_i w_i exp(x_i)`; minus infinity if all terms vanish.
    fn mix(&self, terms: &[Tensor]) -> Tensor {
        let terms = Tensor::stack(terms, -1) + &self.log_weights;
        let sum = terms.clamp_min(LOG_ZERO).logsumexp(-1, false);
        let vanished = sum.le(LOG_ZERO / 2.0);
        sum.masked_fill(&vanished, f64::NEG_INFINITY)
    }

    /// Computes `sum_i w_i x_i`.
    fn average(&self, value: impl Fn(&dyn Distribution) -> Tensor) -> Tensor {
        let values: Vec<Tensor> = self.components.iter().map(|component| value(component.as_ref())).collect();
        (Tensor::stack(&values, -1) * self.log_weights.exp()).sum_dim_intlist(-1, false, Kind::Double)
    }

    /// Mixes the pairs of logarithms that `each` returns for the components.
    fn mix_pairs(&self, each: impl Fn(&dyn Distribution) -> Result<(Tensor, Tensor)>) -> Result<(Tensor, Tensor)> {
        let pairs = self.components.iter().map(|component| each(component.as_ref())).collect::<Result<Vec<_>>>()?;
        let (below, above): (Vec<Tensor>, Vec<Tensor>) = pairs.into_iter().unzip();
        Ok((self.mix(&below), self.mix(&above)))
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "mixture",
    parameters: &["logit0", "logit1", "rate", "probs"],
    typical: &[0.2, -0.4, 1.5, 0.4],
    whole: 0,
    build: |_, p| {
        let components: Vec<Box<dyn Distribution>> =
            vec![Box::new(Poisson::new(&p[2])?), Box::new(Geometric::new(&p[3])?)];
        Ok(Box::new(Mixture::new(&Categorical::from_logits(&side_by_side("mixture", &p[..2])?)?, components)?))
    },
};

impl Distribution for Mixture {
    fn name(&self) -> &str {
        "Mixture"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        let own = Parameter { name: "logits".into(), value: self.logits.shallow_clone(), own_dims: 1 };
        let of_components = self.components.iter().enumerate().flat_map(|(i, component)| {
            let named = move |p: Parameter| Parameter { name: format!("components[{i}].{}", p.name), ..p };
            component.parameters().into_iter().map(named)
        });
        [own].into_iter().chain(of_components).collect()
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let mut values = values.into_iter();
        let logits = values.next().unwrap_or_else(|| self.logits.shallow_clone());
        let components = self
            .components
            .iter()
            .map(|component| component.with_parameters(values.by_ref().take(component.parameters().len()).collect()))
            .collect();
        Box::new(Self::from_checked(logits, components, self.support, self.kind))
    }

    fn support(&self) -> Support {
        self.support
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.average(|component| component.mean())
    }

    fn variance(&self) -> Tensor {
        let mean = self.mean();
        self.average(|component| component.variance() + (component.mean() - &mean).square())
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let each: Vec<Tensor> = self.components.iter().map(|component| masked_log_pmf(component.as_ref(), k)).collect();
        self.mix(&each)
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        if self.support.lowest.is_some_and(|lowest| k <= lowest) {
            return Ok(log_zero_one(&self.log_weights.select(-1, 0)));
        }
        self.mix_pairs(|component| component.log_tails(k))
    }

    fn log_partial_expectations(&self, k: i64) -> Result<(Tensor, Tensor)> {
        self.mix_pairs(|component| component.log_partial_expectations(k))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let chosen = Categorical::from_checked(self.logits.shallow_clone(), Kind::Double).sample(sample_shape)?;
        let mut draws = chosen.zeros_like().to_kind(self.kind);
        for (i, component) in self.components.iter().enumerate() {
            let draw = component.sample(sample_shape)?.to_kind(self.kind);
            draws = draw.where_self(&chosen.eq(i as f64), &draws);
        }
        Ok(draws)
    }
}
