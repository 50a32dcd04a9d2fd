//! The hypergeometric distribution: successes among draws without replacement.
//!
//! `P(X = k) = C(successes, k) C(population - successes, draws - k) / C(population, draws)`; mean
//! `draws successes / population`.
//!
//! `population` and `successes` are whole numbers, with one exception: if there are at least `draws` successes and
//! `draws` failures, the gamma function extends the pmf smoothly to fractions, and it still sums to one (by
//! Vandermonde's identity). Only then fractions are accepted, and only then the law has a gradient: for example, the
//! mean has the derivative `draws / population` in `successes`. Otherwise, tensors that require a gradient are refused,
//! since a derivative would move mass to impossible atoms.

use super::distribution::{Distribution, Parameter};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{broadcast, check_count, require, two};
use crate::error::Result;
use crate::math::special::{log_factorial, log_gamma_ratio};
use tch::{Kind, Tensor};

/// The largest population: `f64` holds all whole numbers up to here.
const LARGEST_POPULATION: f64 = 9e15;

/// A batch of hypergeometric distributions with the same number of draws.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Hypergeometric::new(3, &Tensor::from(10.0), &Tensor::from(4.0))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0 to 3
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1667, 0.5000, 0.3000, 0.0333]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Hypergeometric {
    draws: i64,
    population: Tensor,
    successes: Tensor,
    support: Support,
    kind: Kind,
}

impl Hypergeometric {
    /// Makes a batch from a number of draws, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), the size of the
    /// population, and the number of successes in it. The tensors broadcast together.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the tensors from their device), or if the shapes do not
    /// broadcast.
    pub fn new(draws: i64, population: &Tensor, successes: &Tensor) -> Result<Self> {
        check_count("draws of Hypergeometric", draws)?;
        let (parameters, kind) = broadcast("Hypergeometric", &[population, successes])?;
        let (population, successes) = two(parameters);
        let n = draws as f64;
        require(
            "population of Hypergeometric",
            &population,
            &population.ge(n).logical_and(&population.le(LARGEST_POPULATION)),
            &format!("from the number of draws, {draws}, to 9e15"),
        )?;
        let failures = &population - &successes;
        let within = successes.ge(0.0).logical_and(&failures.ge(0.0));
        require("successes of Hypergeometric", &successes, &within, "from 0 to the population")?;
        let whole = |t: &Tensor| t.eq_tensor(&t.floor());
        let plenty = successes.ge(n).logical_and(&failures.ge(n));
        let allowed = "a whole number, unless successes and failures are both at least the number of draws";
        for (name, values) in
            [("successes of Hypergeometric", &successes), ("population of Hypergeometric", &population)]
        {
            require(name, values, &whole(values).logical_or(&plenty), allowed)?;
        }
        if population.requires_grad() || successes.requires_grad() {
            let fewer = successes.minimum(&failures);
            let allowed = format!("at least the number of draws, {draws}, for parameters with a gradient");
            require("the fewer of successes and failures of Hypergeometric", &fewer, &plenty, &allowed)?;
        }
        let support = if population.numel() == 0 {
            Support::between(0, draws)
        } else {
            // A fraction exceeds the draws, so that clamping makes it whole.
            let most_drawn = |items: &Tensor| items.max().clamp_max(n).to_kind(Kind::Int64).int64_value(&[]);
            Support::between(draws - most_drawn(&failures), most_drawn(&successes))
        };
        Ok(Self { draws, population, successes, support, kind })
    }

    /// Returns population and successes, detached in the rows without a gradient.
    fn values(&self) -> (Tensor, Tensor) {
        let n = self.draws as f64;
        let failures = &self.population - &self.successes;
        let plenty = self.successes.ge(n).logical_and(&failures.ge(n));
        let cut = |t: &Tensor| t.where_self(&plenty, &t.detach());
        (cut(&self.population), cut(&self.successes))
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "hypergeometric",
    parameters: &["draws", "population", "successes"],
    typical: &[6.0, 20.0, 9.0],
    whole: 1,
    build: |n, p| Ok(Box::new(Hypergeometric::new(n[0], &p[0], &p[1])?)),
};

impl Distribution for Hypergeometric {
    fn name(&self) -> &str {
        "Hypergeometric"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("population", &self.population), Parameter::scalar("successes", &self.successes)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (population, successes) = two(values);
        Box::new(Self { draws: self.draws, population, successes, support: self.support, kind: self.kind })
    }

    fn support(&self) -> Support {
        self.support
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        let (population, successes) = self.values();
        successes / population * self.draws as f64
    }

    fn variance(&self) -> Tensor {
        let n = self.draws as f64;
        let (population, successes) = self.values();
        let rate = successes / &population;
        let left = (&population - n) / (population - 1.0).clamp_min(1.0);
        &rate * (1.0 - &rate) * n * left
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let n = self.draws as f64;
        let (population, successes) = self.values();
        let failures = &population - &successes;
        // The batch's support has atoms that are impossible in some rows: computes these at the nearest possible atom,
        // then sets them to no mass.
        let inside = k.le_tensor(&successes).logical_and(&(n - k).le_tensor(&failures));
        let k = &k.minimum(&successes.detach()).maximum(&(n - &failures).detach());
        let failed = n - k;
        let log_coefficient = log_factorial(n) - (k + 1.0).lgamma() - (&failed + 1.0).lgamma();
        // C(m, j) j! = Gamma(m + 1) / Gamma(m - j + 1).
        let log_falling = |m: &Tensor, j: &Tensor| log_gamma_ratio(&(m - j + 1.0), j);
        let log_pmf = log_coefficient + log_falling(&successes, k) + log_falling(&failures, &failed)
            - log_falling(&population, &population.full_like(n));
        log_pmf.where_self(&inside, &log_pmf.full_like(f64::NEG_INFINITY))
    }
}
