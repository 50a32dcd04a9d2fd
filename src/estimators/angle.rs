//! Cosines of the angles between gradients.

use tch::{Kind, Tensor};

/// Returns the cosine of the angle between each estimate `[..., n]` and a reference that broadcasts against it:
/// `[...]`, float64, in [-1, 1].
///
/// The cosine of an estimate of zero is 0. It is NaN if the reference is zero or a number is not finite.
pub(crate) fn cosines(estimates: &Tensor, reference: &Tensor) -> Tensor {
    let (estimates, reference) = (unit(estimates), unit(reference));
    let products = (&estimates * &reference).sum_dim_intlist(-1, false, Kind::Double).clamp(-1.0, 1.0);
    let no_reference = reference.eq(0.0).all_dim(-1, false);
    // `clamp` keeps NaN.
    products.masked_fill(&no_reference, f64::NAN)
}

/// Scales vectors `[..., n]` to length one; zero stays zero. Divides by the largest entry first, because the squares of
/// gradients such as 1e-200 underflow.
fn unit(vectors: &Tensor) -> Tensor {
    let vectors = vectors.to_kind(Kind::Double);
    let largest = vectors.abs().amax([-1].as_slice(), true);
    let zero = largest.eq(0.0);
    let scaled = &vectors / largest.masked_fill(&zero, 1.0);
    let length = scaled.square().sum_dim_intlist([-1].as_slice(), true, Kind::Double).sqrt();
    &scaled / length.masked_fill(&zero, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_do_not_depend_on_lengths() {
        let reference = Tensor::from_slice(&[3.0, 4.0]);
        for scale in [5e-324, 1e-300, 1e-200, 1.0, 1e200, 1e300] {
            let estimates = Tensor::from_slice(&[1.0, 0.0, -1.0, 0.0, 3.0, 4.0, 0.0, 0.0]).reshape([4, 2]) * scale;
            let found = Vec::<f64>::try_from(cosines(&estimates, &reference)).unwrap();
            let expected = [0.6, -0.6, 1.0, 0.0];
            let bound = if scale < 1e-320 { 0.1 } else { 1e-12 };
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < bound), "{scale}: {found:?}");
            assert!(found.iter().all(|cosine| (-1.0..=1.0).contains(cosine)), "{scale}: {found:?}");
        }
    }

    #[test]
    fn what_has_no_angle_is_not_a_number() {
        let estimates = Tensor::from_slice(&[1.0, 2.0, f64::NAN, 1.0, f64::INFINITY, 1.0]).reshape([3, 2]);
        let found = Vec::<f64>::try_from(cosines(&estimates, &Tensor::from_slice(&[1.0, 1.0]))).unwrap();
        assert!(found[0] > 0.9 && found[1].is_nan() && found[2].is_nan(), "{found:?}");
        let found = Vec::<f64>::try_from(cosines(&estimates, &Tensor::from_slice(&[0.0, 0.0]))).unwrap();
        assert!(found.iter().all(|cosine| cosine.is_nan()), "{found:?}");
    }
}
