//! Backward passes: an error where libtorch would end the process, and gradients that refuse to be differentiated
//! again.

use crate::error::{Error, Result};
use std::borrow::Borrow;
use tch::{Kind, Tensor};

/// The gradients of a scalar in some tensors; undefined for a tensor that the scalar does not depend on.
///
/// # Errors
/// When the root is not one number with a graph, or an input does not require a gradient. (libtorch itself ends the
/// process for a root without a graph.)
pub(crate) fn gradients<T: Borrow<Tensor>>(
    root: &Tensor,
    inputs: &[T],
    keep_graph: bool,
    create_graph: bool,
) -> Result<Vec<Tensor>> {
    if !root.defined() || !root.requires_grad() {
        return Err(Error::NoGraph { what: "the value to differentiate".into() });
    }
    if root.numel() != 1 {
        return Err(Error::Shape {
            what: "the value to differentiate".into(),
            found: root.size(),
            expected: "one number: reduce it with a sum or a mean".into(),
        });
    }
    if inputs.iter().any(|input| !input.borrow().defined() || !input.borrow().requires_grad()) {
        return Err(Error::NoGraph { what: "a tensor to differentiate in".into() });
    }
    if inputs.is_empty() {
        return Ok(Vec::new());
    }
    Ok(Tensor::f_run_backward(&[root], inputs, keep_graph, create_graph)?)
}

/// The same values, with a gradient that can be taken once: a second derivative is an error.
///
/// A value that carries its derivative as a constant (`value + slope * (x - x.detach())`) would otherwise give a second
/// derivative that lacks the slope's own. The error comes from libtorch, which has no derivative of the backward pass
/// of a segmented sum. Only the first number goes through one, which takes time: whoever differentiates the gradient of
/// any of them meets it.
pub(crate) fn differentiable_once(value: &Tensor) -> Result<Tensor> {
    if !value.requires_grad() || value.numel() == 0 {
        return Ok(value.shallow_clone());
    }
    let numbers = value.reshape([-1]);
    let one = Tensor::ones([1], (Kind::Int64, value.device()));
    // One segment of one number is that number.
    let first = numbers.narrow(0, 0, 1);
    let first = Tensor::f_segment_reduce(&first, "sum", Some(&one), None, None, 0, true, 0.0)?;
    let rest = numbers.narrow(0, 1, numbers.size()[0] - 1);
    Ok(Tensor::f_cat(&[first, rest], 0)?.f_reshape(value.size())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn a_root_without_a_graph_is_an_error() {
        let x = Tensor::from_slice(&[1.0, 2.0]).set_requires_grad(true);
        let of = |root: &Tensor, inputs: &[&Tensor]| gradients(root, inputs, true, false);
        for root in [Tensor::from(3.0), Tensor::new(), x.detach().sum(Kind::Double), &x * 2.0] {
            assert!(of(&root, &[&x]).is_err());
        }
        let root = x.square().sum(Kind::Double);
        assert!(of(&root, &[&Tensor::from(1.0)]).is_err() && of(&root, &[&Tensor::new()]).is_err());
        assert!(of(&root, &[]).unwrap().is_empty());
        assert_eq!(Vec::<f64>::try_from(&of(&root, &[&x]).unwrap()[0]).unwrap(), [2.0, 4.0]);
    }

    #[test]
    fn a_second_derivative_is_an_error_and_the_first_is_not() {
        for kind in [Kind::Float, Kind::Double] {
            let x = Tensor::arange(6, (kind, Device::Cpu)).reshape([2, 3]).set_requires_grad(true);
            let y = differentiable_once(&x.square()).unwrap();
            assert_eq!(y, x.square());
            // Of one number alone, too.
            let alone = gradients(&y.get(1).get(1), &[&x], true, true).unwrap().remove(0);
            assert_eq!(alone.get(1).get(1).double_value(&[]), 8.0);
            assert!(gradients(&alone.sum(kind), &[&x], true, false).is_err());
            for power in [1.0, 3.0] {
                let root = y.pow_tensor_scalar(power).sum(kind);
                let first = gradients(&root, &[&x], true, true).unwrap().remove(0);
                let expected: Tensor = x.pow_tensor_scalar(2.0 * power - 1.0) * (2.0 * power);
                assert_eq!(first, expected.detach());
                for of_first in [first.sum(kind), first.get(1).get(2), first.get(0).get(0)] {
                    let second = gradients(&of_first, &[&x], true, false).unwrap_err().whole();
                    assert!(second.contains("segment_reduce"), "{second}");
                }
            }
        }
    }
}
