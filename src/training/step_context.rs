//! The context of a training step: its examples, its position in the schedules, and its random key.

use super::settings::LoopConfig;
use crate::sampler::NoiseKey;
use tch::Tensor;

/// The context of one training step.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The indices of the examples, `[B]`, int64.
    pub indices: &'a Tensor,
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The step in the epoch, counted from 0.
    pub step: usize,
    /// The number of steps per epoch.
    pub steps: usize,
    /// The number of steps that the run has made before this one.
    pub done: usize,
    /// The completed fraction of the run, from 0 to 1.
    pub fraction: f64,
    /// The temperature of the step.
    pub temperature: f64,
    /// The key of the step's noise; no other step has the same.
    pub key: NoiseKey,
    /// The seed of the step for libtorch's generator; no other step has the same.
    pub seed: i64,
}

impl<'a> StepContext<'a> {
    /// Makes the context of step `step` (from 0) of the `steps` in an epoch.
    pub(super) fn new(loop_config: &LoopConfig, indices: &'a Tensor, epoch: usize, step: usize, steps: usize) -> Self {
        let total = (loop_config.epochs * steps).max(2) - 1;
        let done = (epoch - 1) * steps + step;
        let fraction = done as f64 / total as f64;
        Self {
            indices,
            epoch,
            step,
            steps,
            done,
            fraction,
            temperature: loop_config.temperature.at(fraction),
            key: NoiseKey::new(loop_config.seed, done as u64),
            seed: step_seed(loop_config.seed, epoch, step),
        }
    }

    /// Returns a weight that grows linearly from 0 to 1 over the first `epochs` epochs of the run, which may be a
    /// fraction; 1 if `epochs` is 0.
    pub fn warmup(&self, epochs: f64) -> f64 {
        if epochs > 0.0 { (self.done as f64 / (epochs * self.steps as f64)).min(1.0) } else { 1.0 }
    }
}

/// Returns a seed for the noise of a step: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014) over seed, epoch and
/// step.
pub(super) fn step_seed(seed: u64, epoch: usize, step: usize) -> i64 {
    [epoch as u64, step as u64].iter().fold(mix(seed), |state, &number| mix(state ^ number)) as i64
}

/// Mixes the bits of a state.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
