//! The families by name, each with the parameters of a typical law: for programs that take a family as a word, and for tests that go
//! through all of them.

use super::distribution::Distribution;
use super::{
    Bernoulli, BetaBinomial, Binomial, Categorical, ConwayMaxwellPoisson, DiscretizedLogistic, Geometric,
    Hypergeometric, Mixture, NegativeBinomial, Poisson, Skellam, ZeroInflatedPoisson, Zipf,
};
use crate::checks::{LARGEST_ATOM, broadcast};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// A family, and a typical law of it.
#[derive(Debug, Clone, Copy)]
pub struct CatalogueEntry {
    /// The name, as it is typed.
    pub name: &'static str,
    /// Names of its parameters; the last one stands for any that follow.
    pub parameters: &'static [&'static str],
    /// Parameters of a typical law.
    pub typical: &'static [f64],
    /// How many parameters, from the first on, are whole numbers without a gradient.
    pub whole: usize,
    build: Constructor,
}

/// From as many parameters as the family has: its whole numbers, and the others.
type Constructor = fn(&[i64], &[Tensor]) -> Result<Box<dyn Distribution>>;

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    typical: &'static [f64],
    whole: usize,
    build: Constructor,
) -> CatalogueEntry {
    CatalogueEntry { name, parameters, typical, whole, build }
}

/// All families that a name and numbers determine; the mixture is one of a Poisson and a geometric law.
#[rustfmt::skip]
pub const CATALOGUE: [CatalogueEntry; 14] = [
    entry("poisson", &["rate"], &[3.0], 0, |_, p| Ok(Box::new(Poisson::new(&p[0])?))),
    entry("geometric", &["probs"], &[0.3], 0, |_, p| Ok(Box::new(Geometric::new(&p[0])?))),
    entry("negative-binomial", &["total_count", "probs"], &[3.0, 0.5], 0, |_, p| Ok(Box::new(NegativeBinomial::new(&p[0], &p[1])?))),
    entry("binomial", &["total_count", "probs"], &[9.0, 0.4], 1, |n, p| Ok(Box::new(Binomial::new(n[0], &p[0])?))),
    entry("bernoulli", &["probs"], &[0.35], 0, |_, p| Ok(Box::new(Bernoulli::new(&p[0])?))),
    entry("categorical", &["logits"], &[0.1, -0.4, 0.9, 0.3, -1.0], 0, |_, p| Ok(Box::new(Categorical::new(&side_by_side("categorical", p)?)?))),
    entry("beta-binomial", &["total_count", "concentration1", "concentration0"], &[9.0, 2.0, 3.0], 1, |n, p| Ok(Box::new(BetaBinomial::new(n[0], &p[0], &p[1])?))),
    entry("hypergeometric", &["draws", "population", "successes"], &[6.0, 20.0, 9.0], 1, |n, p| Ok(Box::new(Hypergeometric::new(n[0], &p[0], &p[1])?))),
    entry("zero-inflated-poisson", &["gate", "rate"], &[0.3, 4.0], 0, |_, p| Ok(Box::new(ZeroInflatedPoisson::new(&p[0], &p[1])?))),
    entry("conway-maxwell-poisson", &["rate", "nu"], &[4.0, 1.5], 0, |_, p| Ok(Box::new(ConwayMaxwellPoisson::new(&p[0], &p[1])?))),
    entry("skellam", &["rate1", "rate2"], &[3.0, 1.5], 0, |_, p| Ok(Box::new(Skellam::new(&p[0], &p[1])?))),
    entry("discretized-logistic", &["loc", "scale"], &[1.3, 0.8], 0, |_, p| Ok(Box::new(DiscretizedLogistic::new(&p[0], &p[1])?))),
    entry("zipf", &["size", "exponent"], &[12.0, 1.4], 1, |n, p| Ok(Box::new(Zipf::new(n[0], &p[0])?))),
    entry("mixture", &["logit0", "logit1", "rate", "probs"], &[0.2, -0.4, 1.5, 0.4], 0, |_, p| {
        let components: Vec<Box<dyn Distribution>> = vec![Box::new(Poisson::new(&p[2])?), Box::new(Geometric::new(&p[3])?)];
        Ok(Box::new(Mixture::new(&side_by_side("mixture", &p[..2])?, components)?))
    }),
];

/// Numbers that broadcast as the last dimension of one tensor, in the kind of the most precise of them.
fn side_by_side(family: &str, numbers: &[Tensor]) -> Result<Tensor> {
    let (numbers, kind) = broadcast(family, &numbers.iter().collect::<Vec<_>>())?;
    Ok(Tensor::f_stack(&numbers, -1)?.to_kind(kind))
}

/// A parameter that is a whole number, from a tensor of one number of any kind.
pub(crate) fn whole_number(name: &str, number: &Tensor) -> Result<i64> {
    if number.numel() != 1 {
        return Err(Error::Shape {
            what: name.into(),
            found: number.size(),
            expected: "one whole number for the whole batch".into(),
        });
    }
    let value = number.to_kind(Kind::Double).reshape([1]).double_value(&[0]);
    // Written so that NaN fails.
    if !(value >= 1.0 && value <= LARGEST_ATOM as f64 && value.fract() == 0.0) {
        return Err(Error::parameter(name, value, format!("a whole number from 1 to {LARGEST_ATOM}")));
    }
    Ok(number.reshape([1]).to_kind(Kind::Int64).int64_value(&[0]))
}

impl CatalogueEntry {
    /// The family of this name.
    ///
    /// # Errors
    /// When there is none; lists those that there are.
    pub fn find(name: &str) -> Result<Self> {
        CATALOGUE.into_iter().find(|entry| entry.name == name).ok_or_else(|| {
            let names = CATALOGUE.map(|entry| entry.name).join(", ");
            Error::parameter("family", format!("'{name}'"), format!("one of {names}"))
        })
    }

    /// Its parameters in their order, as in `total_count, probs`; with an ellipsis where any number may follow.
    pub fn signature(&self) -> String {
        let more = if self.takes_any_number() { ", ..." } else { "" };
        format!("{}{more}", self.parameters.join(", "))
    }

    fn takes_any_number(&self) -> bool {
        self.typical.len() > self.parameters.len()
    }

    /// The name of parameter `i`.
    pub fn parameter(&self, i: usize) -> String {
        let last = self.parameters.len() - 1;
        match self.takes_any_number() {
            true if i >= last => format!("{}[{}]", self.parameters[last], i - last),
            _ => self.parameters[i.min(last)].to_string(),
        }
    }

    /// The law with these parameters, which broadcast; whole numbers as tensors of one number.
    ///
    /// # Errors
    /// When there are too few or too many, or one is out of its domain.
    pub fn distribution(&self, p: &[Tensor]) -> Result<Box<dyn Distribution>> {
        let fits =
            if self.takes_any_number() { p.len() >= self.parameters.len() } else { p.len() == self.parameters.len() };
        if !fits {
            return Err(Error::parameter(
                format!("number of parameters of {}", self.name),
                p.len(),
                format!("{}: {}", self.parameters.len(), self.signature()),
            ));
        }
        let (whole, others) = p.split_at(self.whole);
        let whole = whole
            .iter()
            .zip(self.parameters)
            .map(|(number, name)| whole_number(&format!("{name} of {}", self.name), number))
            .collect::<Result<Vec<_>>>()?;
        (self.build)(&whole, others)
    }
}
