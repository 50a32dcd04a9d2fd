//! A family by name: what it takes, a typical law of it, and how it is built from numbers.

use super::distribution::Distribution;
use crate::checks::{LARGEST_ATOM, broadcast};
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// A family, and a typical law of it.
#[derive(Debug, Clone, Copy)]
pub struct FamilyEntry {
    /// The name, as it is typed.
    pub name: &'static str,
    /// Names of its parameters; the last one stands for any that follow.
    pub parameters: &'static [&'static str],
    /// Parameters of a typical law.
    pub typical: &'static [f64],
    /// How many parameters, from the first on, are whole numbers without a gradient.
    pub whole: usize,
    pub(super) build: Constructor,
}

/// From as many parameters as the family has: its whole numbers, and the others.
pub(super) type Constructor = fn(&[i64], &[Tensor]) -> Result<Box<dyn Distribution>>;

/// Numbers that broadcast as the last dimension of one tensor, in the kind of the most precise of them.
pub(super) fn side_by_side(family: &str, numbers: &[Tensor]) -> Result<Tensor> {
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

impl FamilyEntry {
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
