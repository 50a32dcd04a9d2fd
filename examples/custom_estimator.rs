//! An estimator of one's own, beside those of the library: the score function with `f` at the likeliest atoms as baseline.
//!
//!     cargo run --example custom_estimator

use gengs::estimators::{Approach, Estimate, Estimator, EstimatorKind, Expectation, Facts, Info, Setting};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

/// `f` at the mode of each latent's law is close to the mean of `f`, and does not depend on the sample: subtracted, it takes variance away and
/// no part of the gradient.
#[derive(Debug)]
struct ModeBaseline;

static FACTS: Facts = Facts { approach: Approach::ControlVariate, ..Facts::new("mode-baseline") };

impl Estimator for ModeBaseline {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn compute(&mut self, of: &Expectation<'_>) -> gengs::Result<Estimate> {
        let (law, samples) = (of.law(), of.sample_count());
        let z = law.sample(&[samples])?;
        let log_prob = law.log_prob(&z)?.sum_dim_intlist(-1, false, None::<Kind>);
        let f = of.value(&z)?;
        let mode =
            law.atoms().index_select(0, &law.log_weights().argmax(-1, false).reshape([-1])).reshape(law.batch_shape());
        let baseline = of.value(&mode.unsqueeze(0))?;
        // Zero, whose derivative is the score times what f has beyond the baseline.
        let score = (&log_prob - log_prob.detach()) * (f.detach() - baseline.detach());
        let surrogate = (f + score).mean_dim(0, false, None::<Kind>);
        Ok(Estimate { surrogate, info: Info { evaluations: samples + 1, ..Info::default() } })
    }
}

fn main() -> anyhow::Result<()> {
    tch::manual_seed(0);
    // 100,000 rows of one latent each, so that the gradient of each row is one draw.
    let rate = Tensor::full([100_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
    let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
    let setting = Setting { width: 1, features: None, temperature: 0.5, device: Device::Cpu };
    let mut estimators: Vec<Box<dyn Estimator>> = vec![Box::new(ModeBaseline)];
    for kind in [EstimatorKind::Reinforce, EstimatorKind::Go, EstimatorKind::Gengs] {
        estimators.push(kind.build(&setting)?);
    }
    println!("gradient of E (z - 4)^2 in the rate of a Poisson at 5: 3, by hand");
    for mut estimator in estimators {
        let estimate = estimator.estimate(&Expectation::new(&q, &f)?)?;
        let draws = Tensor::run_backward(&[estimate.surrogate.sum(Kind::Double)], &[&rate], true, false).remove(0);
        let (mean, deviation) = (draws.mean(Kind::Double), draws.std(true));
        println!(
            "{:14} mean {:6.3}, standard deviation of a draw {:6.2}",
            estimator.facts().name,
            mean.double_value(&[]),
            deviation.double_value(&[])
        );
    }
    Ok(())
}
