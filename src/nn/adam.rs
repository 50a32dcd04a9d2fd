//! Adam with a state that can be saved.
//!
//! The arithmetic is that of `torch.optim.Adam` with its defaults (`betas = (0.9, 0.999)`, `eps = 1e-8`).
//!
//! # Source
//! Kingma, Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980.

use crate::{Error, Result};
use tch::nn::VarStore;
use tch::{Tensor, no_grad_guard};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// The optimiser: parameters in the order of their names, and two moving averages for each.
#[derive(Debug)]
pub struct Adam {
    slots: Vec<Slot>,
    learning_rate: f64,
    steps: i64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
}

impl Adam {
    /// For all trainable variables of a store.
    ///
    /// # Errors
    /// When the learning rate is not positive and finite.
    pub fn new(store: &VarStore, learning_rate: f64) -> Result<Self> {
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return Err(Error::parameter("learning rate", learning_rate, "positive and finite"));
        }
        let mut slots: Vec<Slot> = store
            .variables()
            .into_iter()
            .filter(|(_, parameter)| parameter.requires_grad())
            .map(|(name, parameter)| {
                let zeros = || parameter.detach().zeros_like();
                Slot { name, exp_avg: zeros(), exp_avg_sq: zeros(), parameter }
            })
            .collect();
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { slots, learning_rate, steps: 0 })
    }

    /// Forgets the gradients.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// One update from the gradients; parameters without one are left alone.
    pub fn step(&mut self) {
        let _guard = no_grad_guard();
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powi(self.steps as i32);
        let correction2 = (1.0 - BETA2.powi(self.steps as i32)).sqrt();
        for slot in &mut self.slots {
            let gradient = slot.parameter.grad();
            if !gradient.defined() {
                continue;
            }
            let _ = slot.exp_avg.lerp_(&gradient, 1.0 - BETA1);
            let _ = slot.exp_avg_sq.g_mul_scalar_(BETA2);
            let _ = slot.exp_avg_sq.addcmul_(&(&gradient * (1.0 - BETA2)), &gradient);
            let denominator = (slot.exp_avg_sq.sqrt() / correction2).g_add_scalar_(EPS);
            let _ = slot.parameter.addcdiv_(&(&slot.exp_avg * (-self.learning_rate / correction1)), &denominator);
        }
    }

    /// How many updates were made.
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// The moving averages, named `adam.exp_avg.PARAMETER` and `adam.exp_avg_sq.PARAMETER`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.slots
            .iter()
            .flat_map(|slot| {
                [
                    (format!("adam.exp_avg.{}", slot.name), slot.exp_avg.shallow_clone()),
                    (format!("adam.exp_avg_sq.{}", slot.name), slot.exp_avg_sq.shallow_clone()),
                ]
            })
            .collect()
    }

    /// Continues as after `steps` updates; the tensors of [`state`](Self::state) are to be overwritten by the caller.
    pub fn set_steps(&mut self, steps: i64) {
        self.steps = steps;
    }
}
