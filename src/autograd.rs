//! Backward passes that return an error if libtorch would abort the process, and gradients whose second derivative is
//! an error.

use crate::error::{Error, Result};
use std::borrow::Borrow;
use tch::{Kind, Tensor};

/// Computes the gradients of a scalar in each of `inputs`, with the shapes of the inputs. A gradient is undefined if
/// the scalar does not depend on the input.
///
/// # Errors
/// Fails if `root` is not a single number with a graph, or if an input does not require a gradient. (libtorch itself
/// aborts the process if the root has no graph.)
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

/// Returns the values of `value`, in its shape, with a graph that can be differentiated once: a second derivative is an
/// error.
///
/// A value that carries its derivative as a constant (`value + slope * (x - x.detach())`) would otherwise give a wrong
/// second derivative, without the derivative of `slope`. libtorch raises the error, because it has no derivative for
/// the backward pass of a segmented sum. Only the first element goes through such a sum, to save time. That suffices:
/// the gradient of every element passes through the same concatenation.
pub(crate) fn differentiable_once(value: &Tensor) -> Result<Tensor> {
    if !value.requires_grad() || value.numel() == 0 {
        return Ok(value.shallow_clone());
    }
    let numbers = value.reshape([-1]);
    let one = Tensor::ones([1], (Kind::Int64, value.device()));
    // A segment of one element sums to that element.
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
        let differentiate = |root: &Tensor, inputs: &[&Tensor]| gradients(root, inputs, true, false);
        for root in [Tensor::from(3.0), Tensor::new(), x.detach().sum(Kind::Double), &x * 2.0] {
            assert!(differentiate(&root, &[&x]).is_err());
        }
        let root = x.square().sum(Kind::Double);
        assert!(differentiate(&root, &[&Tensor::from(1.0)]).is_err());
        assert!(differentiate(&root, &[&Tensor::new()]).is_err());
        assert!(differentiate(&root, &[]).unwrap().is_empty());
        assert_eq!(Vec::<f64>::try_from(&differentiate(&root, &[&x]).unwrap()[0]).unwrap(), [2.0, 4.0]);
    }

    #[test]
    fn a_second_derivative_is_an_error_and_the_first_is_not() {
        for kind in [Kind::Float, Kind::Double] {
            let x = Tensor::arange(6, (kind, Device::Cpu)).reshape([2, 3]).set_requires_grad(true);
            let y = differentiable_once(&x.square()).unwrap();
            assert_eq!(y, x.square());
            // The gradient of a single element can be taken, too.
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
