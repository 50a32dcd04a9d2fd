//! Measures the encoder's gradient by any estimators, on a batch of a run.
//!
//! Each estimator makes some independent estimates of the gradient of the batch's mean reconstruction in all parameters
//! of the encoder. (The KL is exact, and equal for all estimators.) The results are the variance of the estimates, and
//! their angle to a reference: the mean of many samples of the leave-one-out score function. The angle between two
//! halves of the reference shows how accurate the reference is.

use super::config::TrainConfig;
use crate::autograd;
use crate::error::Result;
use crate::estimators::{Baseline, Estimator, EstimatorKind, Reinforce, cosines};
use crate::models::Vae;
use crate::training::checkpoint::{Checkpoint, DIAGNOSED};
use crate::training::ranges::number;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Kind, Tensor};

/// One estimator at one step, a line of `gradients.jsonl`. A number that is not finite is null there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GradientRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The step in the epoch, counted from 1.
    pub step: usize,
    /// The estimator.
    pub estimator: EstimatorKind,
    /// Variance of one estimate, summed over the encoder's parameters.
    #[serde(deserialize_with = "number_or_null")]
    pub variance: f64,
    /// Mean cosine of the angle between one estimate and the reference.
    #[serde(deserialize_with = "number_or_null")]
    pub cosine: f64,
    /// Squared length of the reference.
    #[serde(deserialize_with = "number_or_null")]
    pub reference_square: f64,
    /// Cosine of the angle between the two halves of the reference.
    #[serde(deserialize_with = "number_or_null")]
    pub reference_cosine: f64,
    /// Samples per image in the reference.
    pub reference_samples: i64,
}

/// Reads a number that JSON may hold as null: NaN, such as the angle to a reference of length zero.
fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The name of an optimiser's number of steps, among the contents of a checkpoint.
const STEPS: &str = "steps";

/// The number of estimates of each estimator, from which the variance is computed.
const ESTIMATES: usize = 10;

/// The reference: samples per image of one call, and the number of calls.
const REFERENCE_SAMPLES: i64 = 20;
const REFERENCE_CALLS: usize = 24;

/// The estimators that a run measures. Their control variates learn from the measured batches. The run's own estimator
/// is measured as it is, and does not learn here.
#[derive(Debug)]
pub(super) struct Diagnosis {
    estimators: Vec<(EstimatorKind, Box<dyn Estimator>)>,
}

impl Diagnosis {
    pub fn new(config: &TrainConfig, vae: &Vae) -> Result<Self> {
        let setting = vae.estimator_setting(config.temperature.first);
        let estimators =
            config.diagnose.iter().map(|&kind| Ok((kind, kind.build(&setting)?))).collect::<Result<_>>()?;
        Ok(Self { estimators })
    }

    /// Returns the variables that the estimators have learned, for a checkpoint. Their names begin with the
    /// estimator's; the tensors share memory.
    pub fn contents(&mut self) -> Vec<(String, Tensor)> {
        let each = self.estimators.iter_mut().filter_map(|(kind, estimator)| Some((*kind, estimator.learned()?)));
        each.flat_map(|(kind, learned)| {
            let steps = Tensor::from(learned.adam.steps() as f32);
            let named = Checkpoint::contents(&learned.store, &learned.adam);
            let named = named.into_iter().chain([(STEPS.to_string(), steps)]);
            named.map(move |(name, tensor)| (format!("{DIAGNOSED}{kind}.{name}"), tensor)).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Restores the variables from a checkpoint. If the checkpoint has none, the estimators start anew.
    ///
    /// # Errors
    /// Fails if the checkpoint belongs to another model.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        for (kind, estimator) in &mut self.estimators {
            let Some(learned) = estimator.learned() else { continue };
            let prefix = format!("{DIAGNOSED}{kind}.");
            let Some(steps) = checkpoint.tensor(&format!("{prefix}{STEPS}")) else { continue };
            let steps = steps.double_value(&[]);
            number("steps of what looks at gradients", steps, 0.0..=9e15)?;
            // The check above ensures that the number is in range.
            learned.adam.set_steps(steps as i64);
            let named = Checkpoint::contents(&learned.store, &learned.adam);
            checkpoint
                .copy_into(named.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect())?;
        }
        Ok(())
    }

    /// Measures each estimator on a batch `x` `[B, pixels]`: gradients in the parameters `encoder`. `own` is the run's
    /// own estimator.
    pub fn measure(
        &mut self,
        vae: &Vae,
        x: &Tensor,
        encoder: &[Tensor],
        mut own: Option<&mut Box<dyn Estimator>>,
        (temperature, epoch, step): (f64, usize, usize),
    ) -> Result<Vec<GradientRecord>> {
        let mut leave_one_out = Reinforce::new(Baseline::LeaveOneOut, x.device())?;
        let halves = [0, 1].map(|_| -> Result<Tensor> {
            let calls = REFERENCE_CALLS / 2;
            let estimates = estimates(vae, x, encoder, &mut leave_one_out, REFERENCE_SAMPLES, calls)?;
            Ok(estimates.mean_dim(0, false, Kind::Double))
        });
        let [first, second] = halves;
        let (first, second) = (first?, second?);
        let reference = (&first + &second) / 2.0;
        let reference_cosine = cosines(&first, &second).double_value(&[]);

        let mut records = Vec::new();
        for (kind, estimator) in &mut self.estimators {
            let kind = *kind;
            let samples = kind.fewest_samples();
            let found = match own.as_deref_mut().filter(|own| own.facts() == kind.facts()) {
                Some(own) => {
                    let before = own.learned().map(|learned| learned.snapshot());
                    let found = estimates(vae, x, encoder, own.as_mut(), samples, ESTIMATES)?;
                    if let (Some(learned), Some(before)) = (own.learned(), before) {
                        learned.restore(&before);
                    }
                    found
                }
                None => {
                    estimator.set_temperature(temperature)?;
                    estimates(vae, x, encoder, estimator.as_mut(), samples, ESTIMATES)?
                }
            };
            records.push(GradientRecord {
                epoch,
                step,
                estimator: kind,
                variance: found.var_dim(0, true, false).sum(Kind::Double).double_value(&[]),
                cosine: cosines(&found, &reference).mean(Kind::Double).double_value(&[]),
                reference_square: reference.square().sum(Kind::Double).double_value(&[]),
                reference_cosine,
                reference_samples: REFERENCE_SAMPLES * REFERENCE_CALLS as i64,
            });
        }
        Ok(records)
    }
}

/// Estimates the gradient of the mean reconstruction of a batch, `[calls, parameters]`.
fn estimates(
    vae: &Vae,
    x: &Tensor,
    encoder: &[Tensor],
    estimator: &mut dyn Estimator,
    samples: i64,
    calls: usize,
) -> Result<Tensor> {
    let rows = (0..calls).map(|_| {
        let elbo = vae.estimated_elbo(x, estimator, samples)?;
        let loss = elbo.reconstruction.mean(None::<Kind>);
        let gradients = autograd::gradients(&loss, encoder, false, false)?;
        // A parameter that the loss does not depend on has an undefined gradient.
        let flat: Vec<Tensor> = gradients
            .iter()
            .zip(encoder)
            .map(|(gradient, parameter)| {
                if gradient.defined() { gradient.reshape([-1]) } else { parameter.detach().zeros_like().reshape([-1]) }
            })
            .collect();
        Ok(Tensor::cat(&flat, 0).to_kind(Kind::Double))
    });
    Ok(Tensor::stack(&rows.collect::<Result<Vec<_>>>()?, 0))
}
