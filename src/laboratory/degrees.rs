//! Proof by enumeration that an estimator is exact for polynomials: no sampling, no standard error.
//!
//! The expectation of an estimate that differentiates `f` at exact samples is a sum over the atoms. It is compared with
//! the derivative of `E f(z)`, `sum_k d pi_k f(c_k)`, for powers of the distance from the mean, in standard deviations.

use super::problem::Problem;
use crate::error::Result;
use crate::estimators::{EstimatorKind, ExactSamples, Expectation, Setting};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// What the enumeration found for one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DegreeProof {
    /// The degree of the claim: the estimator's, or less where fewer atoms carry mass.
    pub degree: i64,
    /// The largest error over polynomials up to that degree, relative to `sum_k |d pi_k f(c_k)|`.
    pub error: f64,
    /// The largest error that rounding explains, in the number kind of the problem.
    pub allowed: f64,
}

impl DegreeProof {
    /// Whether the claim holds.
    pub fn holds(&self) -> bool {
        self.error <= self.allowed
    }
}

/// The most atoms of a law that is enumerated: its cost is their square.
const MOST_ATOMS: i64 = 4096;

/// Numbers in the tensors of one call.
const AT_ONCE: i64 = 1 << 20;

/// One proof for each parameter; nothing for estimators without such a claim, and for laws of more than 4,096 atoms.
pub(super) fn prove(problem: &Problem, kind: EstimatorKind, temperature: f64) -> Result<Option<Vec<DegreeProof>>> {
    let atoms = problem.atoms();
    if kind.exact_degree() == 0 || atoms > MOST_ATOMS {
        return Ok(None);
    }
    let setting = Setting { width: problem.width(), features: None, temperature, device: Device::Cpu };
    let estimator = kind.build(&setting)?;
    let powers = Powers::of(problem);
    let parameters = problem.parameters()?.len();
    let (mut errors, mut degree) = (vec![0.0f64; parameters], kind.exact_degree());
    let weights = problem.law().log_weights().exp().to_kind(Kind::Double);
    let of_atoms = problem.scores().to_kind(Kind::Double) * weights.unsqueeze(-1);
    let (mut power, mut enumerated) = (1, false);
    while power <= degree {
        let f = |z: &Tensor| powers.value(z, power).squeeze_dim(-1);
        let mut sum = Tensor::zeros([parameters as i64], (Kind::Double, Device::Cpu));
        let rows = (AT_ONCE / atoms).max(1);
        for start in (0..atoms).step_by(rows as usize) {
            let rows = rows.min(atoms - start);
            let leaves = problem.copies([rows, 1]);
            let expectation = Expectation::new(&leaves.law, &f)?;
            let index = Tensor::arange_start(start, start + rows, (Kind::Int64, Device::Cpu)).reshape([1, rows, 1]);
            let Some(ExactSamples { z, degree: in_force }) = estimator.at_atoms(&expectation, &index)? else {
                return Ok(None);
            };
            degree = degree.min(in_force);
            let gradients = leaves.gradients(&expectation.value(&z)?, problem.scores())?.squeeze_dim(1);
            sum += (gradients * weights.narrow(0, start, rows).unsqueeze(-1)).sum_dim_intlist(0, false, Kind::Double);
            enumerated = true;
        }
        let terms = &of_atoms * powers.value(problem.law().atoms(), power).to_kind(Kind::Double).unsqueeze(-1);
        let exact = terms.sum_dim_intlist(0, false, Kind::Double);
        let scale = terms.abs().sum_dim_intlist(0, false, Kind::Double).clamp_min(f64::MIN_POSITIVE);
        let found = Vec::<f64>::try_from((sum - exact).abs() / scale)?;
        if power <= degree {
            errors.iter_mut().zip(found).for_each(|(error, found)| *error = error.max(found));
        }
        power += 1;
    }
    // In float32, the sums over the atoms behind a slope of the third order cancel most.
    let allowed = match (problem.config().kind, degree) {
        (Kind::Double, _) => 1e-9,
        (_, 3) => 1e-3,
        _ => 1e-4,
    };
    Ok(enumerated.then(|| errors.into_iter().map(|error| DegreeProof { degree, error, allowed }).collect()))
}

/// Powers of a value's distance from the mean of a law, in standard deviations; of vectors, along one direction.
struct Powers {
    /// Nothing for atoms that are numbers.
    direction: Option<Tensor>,
    mean: f64,
    scale: f64,
}

impl Powers {
    fn of(problem: &Problem) -> Self {
        let atoms = problem.law().atoms().to_kind(Kind::Double);
        let dimension = atoms.size().get(1).copied();
        let direction = dimension.map(|d| (Tensor::arange(d, (Kind::Double, Device::Cpu)) + 1.0).cos());
        let along = direction.as_ref().map_or_else(|| atoms.shallow_clone(), |direction| atoms.matmul(direction));
        let weights = problem.law().log_weights().exp().to_kind(Kind::Double);
        let mean = (&weights * &along).sum(Kind::Double).double_value(&[]);
        let variance = (&weights * (&along - mean).square()).sum(Kind::Double).double_value(&[]);
        let scale = if variance > 1e-30 { variance.sqrt() } else { 1.0 };
        Self { direction, mean, scale }
    }

    /// Of values `[...]` or `[..., d]`.
    fn value(&self, z: &Tensor, power: i64) -> Tensor {
        let along = match &self.direction {
            Some(direction) => z.matmul(&direction.to_kind(z.kind())),
            None => z.shallow_clone(),
        };
        ((along - self.mean) / self.scale).pow_tensor_scalar(power)
    }
}
