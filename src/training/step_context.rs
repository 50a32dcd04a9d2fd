//! What a step of a run is to do: its examples, its place in the schedules, and its share of the randomness.

use super::settings::LoopConfig;
use crate::sampler::NoiseKey;
use tch::Tensor;

/// One step of a run.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The examples, by their numbers.
    pub indices: &'a Tensor,
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The step in it, counted from 0.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Steps that the run has made before.
    pub done: usize,
    /// How much of the run is done, from 0 to 1.
    pub fraction: f64,
    /// The step's temperature.
    pub temperature: f64,
    /// The key of the step's noise, and no other's.
    pub key: NoiseKey,
    /// A seed for libtorch's generator, and no other step's.
    pub seed: i64,
}

impl<'a> StepContext<'a> {
    /// Of a step of an epoch, which has so many.
    pub(super) fn new(pace: &LoopConfig, indices: &'a Tensor, epoch: usize, step: usize, steps: usize) -> Self {
        let total = (pace.epochs * steps).max(2) - 1;
        let done = (epoch - 1) * steps + step;
        let fraction = done as f64 / total as f64;
        Self {
            indices,
            epoch,
            step,
            steps,
            done,
            fraction,
            temperature: pace.temperature.at(fraction),
            key: NoiseKey::new(pace.seed, done as u64),
            seed: step_seed(pace.seed, epoch, step),
        }
    }

    /// How far a weight has come that grows from 0 to 1 over the run's first so many epochs, which may be a fraction,
    /// or none.
    pub fn warmup(&self, epochs: f64) -> f64 {
        if epochs > 0.0 { (self.done as f64 / (epochs * self.steps as f64)).min(1.0) } else { 1.0 }
    }
}

/// A seed for the noise of a step, by the finaliser of SplitMix64 (Steele, Lea, Flood, 2014) over the three numbers.
pub(super) fn step_seed(seed: u64, epoch: usize, step: usize) -> i64 {
    [epoch as u64, step as u64].iter().fold(mix(seed), |state, &number| mix(state ^ number)) as i64
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
