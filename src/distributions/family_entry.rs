//! A family by name: its parameters, a typical law, and its constructor.

use super::distribution::Distribution;
use crate::checks::{LARGEST_ATOM, broadcast};
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// A family by name, with the parameters of a typical law.
#[derive(Debug, Clone, Copy)]
pub struct FamilyEntry {
    /// The name, as typed on the command line.
    pub name: &'static str,
    /// The names of its parameters; the last name stands for any number of further ones if `typical` is longer.
    pub parameters: &'static [&'static str],
    /// The parameters of a typical law.
    pub typical: &'static [f64],
    /// How many of the first parameters are whole numbers, which have no gradient.
    pub whole: usize,
    pub(super) build: Constructor,
}

/// Makes a law from its whole-number parameters and the other ones.
pub(super) type Constructor = fn(&[i64], &[Tensor]) -> Result<Box<dyn Distribution>>;

/// Stacks numbers that broadcast along a new last dimension, in the most precise kind among them.
pub(super) fn side_by_side(family: &str, numbers: &[Tensor]) -> Result<Tensor> {
    let (numbers, kind) = broadcast(family, &numbers.iter().collect::<Vec<_>>())?;
    Ok(Tensor::f_stack(&numbers, -1)?.to_kind(kind))
}

/// Reads a whole-number parameter from a tensor with one element of any kind.
pub(crate) fn whole_number(name: &str, number: &Tensor) -> Result<i64> {
    if number.numel() != 1 {
        return Err(Error::Shape {
            what: name.into(),
            found: number.size(),
            expected: "one whole number for the whole batch".into(),
        });
    }
    let value = number.to_kind(Kind::Double).reshape([1]).double_value(&[0]);
    // In this form, NaN fails too.
    if !(value >= 1.0 && value <= LARGEST_ATOM as f64 && value.fract() == 0.0) {
        return Err(Error::parameter(name, value, format!("a whole number from 1 to {LARGEST_ATOM}")));
    }
    Ok(number.reshape([1]).to_kind(Kind::Int64).int64_value(&[0]))
}

impl FamilyEntry {
    /// Returns the parameter names in order, such as `total_count, probs`, with an ellipsis if more may follow.
    pub fn signature(&self) -> String {
        let more = if self.takes_any_number() { ", ..." } else { "" };
        format!("{}{more}", self.parameters.join(", "))
    }

    fn takes_any_number(&self) -> bool {
        self.typical.len() > self.parameters.len()
    }

    /// Returns the name of parameter `i`.
    pub fn parameter(&self, i: usize) -> String {
        let last = self.parameters.len() - 1;
        match self.takes_any_number() {
            true if i >= last => format!("{}[{}]", self.parameters[last], i - last),
            _ => self.parameters[i.min(last)].to_string(),
        }
    }

    /// Makes the law with the given parameters, which must broadcast; whole numbers are tensors with one element.
    ///
    /// # Errors
    /// Fails if there are too few or too many parameters, or one is outside its domain.
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
