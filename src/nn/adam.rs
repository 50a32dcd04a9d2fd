//! Adam with a state that can be saved.
//!
//! The arithmetic is that of `torch.optim.Adam` with its defaults (`betas = (0.9, 0.999)`, `eps = 1e-8`).
//!
//! # Source
//! Kingma, Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980.

use super::Rows;
use crate::{Error, Result, threads};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, no_grad_guard};

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
        let learning_rate = checked(learning_rate)?;
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
        let gradients: Vec<Tensor> = self.slots.iter().map(|slot| slot.parameter.grad()).collect();
        self.apply(&gradients);
    }

    /// One update from the gradient of a loss, whose graph is kept or spent. Gradients go straight from the backward pass into the update: they are
    /// neither zeroed before nor added to what a parameter carries.
    ///
    /// # Errors
    /// When the loss is not a scalar with a graph.
    pub fn minimize(&mut self, loss: &Tensor, keep_graph: bool) -> Result<()> {
        let parameters: Vec<&Tensor> = self.slots.iter().map(|slot| &slot.parameter).collect();
        let gradients = Tensor::f_run_backward(&[loss], &parameters, keep_graph, false)?;
        self.apply(&gradients);
        Ok(())
    }

    /// As [`minimize`](Self::minimize), where the graph holds some tables by the [`Rows`] that a step uses. Of those, parameters and averages move in these
    /// rows alone, as with `torch.optim.SparseAdam`.
    ///
    /// # Errors
    /// As [`minimize`](Self::minimize).
    pub fn minimize_rows(&mut self, loss: &Tensor, rows: &[Rows]) -> Result<()> {
        let dense: Vec<usize> =
            (0..self.slots.len()).filter(|&i| rows.iter().all(|rows| rows.name != self.slots[i].name)).collect();
        let parameters = dense.iter().map(|&i| &self.slots[i].parameter);
        let inputs: Vec<&Tensor> = parameters.chain(rows.iter().map(|rows| &rows.values)).collect();
        let gradients = Tensor::f_run_backward(&[loss], &inputs, false, false)?;
        let _guard = no_grad_guard();
        let rule = self.next_rule();
        let (of_slots, of_rows) = gradients.split_at(dense.len());
        let of_rows_only = |slot: &Slot| rows.iter().any(|rows| rows.name == slot.name);
        rule.update(self.slots.iter_mut().filter(|slot| !of_rows_only(slot)).zip(of_slots));
        for (rows, gradient) in rows.iter().zip(of_rows) {
            for slot in self.slots.iter_mut().filter(|slot| slot.name == rows.name) {
                rule.update_rows(slot, &rows.indices, gradient)?;
            }
        }
        Ok(())
    }

    /// One update from gradients in the order of the parameters' names; those that are undefined leave their parameter alone.
    pub fn apply(&mut self, gradients: &[Tensor]) {
        let _guard = no_grad_guard();
        let rule = self.next_rule();
        rule.update(self.slots.iter_mut().zip(gradients));
    }

    fn next_rule(&mut self) -> Rule {
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powi(self.steps as i32);
        let correction2 = (1.0 - BETA2.powi(self.steps as i32)).sqrt();
        Rule { learning_rate: self.learning_rate / correction1, correction: 1.0 / correction2 }
    }

    /// Another learning rate, from the next update on.
    ///
    /// # Errors
    /// When it is not positive and finite.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.learning_rate = checked(learning_rate)?;
        Ok(())
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

fn checked(learning_rate: f64) -> Result<f64> {
    if learning_rate > 0.0 && learning_rate.is_finite() {
        return Ok(learning_rate);
    }
    Err(Error::parameter("learning rate", learning_rate, "positive and finite"))
}

/// One update, with the corrections for the zeros that the averages started from.
struct Rule {
    learning_rate: f64,
    correction: f64,
}

impl Rule {
    /// From gradients that may be undefined, which leaves the parameter alone.
    fn update<'a>(&self, slots: impl Iterator<Item = (&'a mut Slot, &'a Tensor)>) {
        let mut parts = Vec::new();
        for (slot, gradient) in slots.filter(|(_, gradient)| gradient.defined()) {
            if is_dense(slot, gradient) {
                parts.extend(split(slot, gradient));
            } else {
                self.apply(slot, gradient);
            }
        }
        if parts.iter().map(|part| part.gradient.len()).sum::<usize>() < A_PART {
            parts.into_iter().for_each(|part| self.apply_in_place(part));
        } else {
            threads::run(parts, |_, part| self.apply_in_place(part));
        }
    }

    /// Of these rows alone.
    fn update_rows(&self, slot: &mut Slot, indices: &Tensor, gradient: &Tensor) -> Result<()> {
        let select = |tensor: &Tensor| tensor.detach().f_index_select(0, indices);
        let mut rows = Slot {
            name: String::new(),
            parameter: select(&slot.parameter)?,
            exp_avg: select(&slot.exp_avg)?,
            exp_avg_sq: select(&slot.exp_avg_sq)?,
        };
        self.update(std::iter::once((&mut rows, gradient)));
        let _ = slot.parameter.f_index_copy_(0, indices, &rows.parameter)?;
        let _ = slot.exp_avg.f_index_copy_(0, indices, &rows.exp_avg)?;
        let _ = slot.exp_avg_sq.f_index_copy_(0, indices, &rows.exp_avg_sq)?;
        Ok(())
    }

    /// As tensor operations, anywhere.
    fn apply(&self, slot: &mut Slot, gradient: &Tensor) {
        let _ = slot.exp_avg.lerp_(gradient, 1.0 - BETA1);
        let _ = slot.exp_avg_sq.g_mul_scalar_(BETA2);
        let _ = slot.exp_avg_sq.addcmul_(&(gradient * (1.0 - BETA2)), gradient);
        let denominator = (slot.exp_avg_sq.sqrt() * self.correction).g_add_scalar_(EPS);
        let _ = slot.parameter.addcdiv_(&(&slot.exp_avg * -self.learning_rate), &denominator);
    }

    /// In a single pass over memory.
    fn apply_in_place(&self, part: Part<'_>) {
        let Part { parameter, exp_avg, exp_avg_sq, gradient } = part;
        let (learning_rate, correction, eps) = (self.learning_rate as f32, self.correction as f32, EPS as f32);
        let (keep1, take1, keep2, take2) = (BETA1 as f32, (1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        // Roots and quotients take longer than memory does, unless the machine's widest vectors compute them.
        pulp::Arch::new().dispatch(|| {
            for (((p, m), v), &g) in parameter.iter_mut().zip(exp_avg).zip(exp_avg_sq).zip(gradient) {
                *m = keep1 * *m + take1 * g;
                *v = keep2 * *v + take2 * g * g;
                *p -= learning_rate * *m / (v.sqrt() * correction + eps);
            }
        });
    }
}

/// Numbers that a thread updates at a time: a megabyte of the four tensors.
const A_PART: usize = 1 << 16;

/// The same numbers of a parameter, its averages and its gradient.
struct Part<'a> {
    parameter: &'a mut [f32],
    exp_avg: &'a mut [f32],
    exp_avg_sq: &'a mut [f32],
    gradient: &'a [f32],
}

/// Whether all four tensors are dense float32 on the CPU.
fn is_dense(slot: &Slot, gradient: &Tensor) -> bool {
    let count = slot.parameter.numel();
    let tensors = [&slot.parameter, &slot.exp_avg, &slot.exp_avg_sq, gradient];
    tensors.into_iter().all(|t| {
        t.device() == Device::Cpu && t.kind() == Kind::Float && t.is_contiguous() && t.numel() == count && count > 0
    })
}

/// The numbers of four dense tensors, part by part.
fn split<'a>(slot: &'a mut Slot, gradient: &'a Tensor) -> impl Iterator<Item = Part<'a>> {
    let count = slot.parameter.numel();
    // SAFETY: `is_dense` holds, so that each tensor has `count` floats on the CPU, and each is kept alive by the borrow of `slot` and
    // `gradient`. Parameter, averages and gradient have storages of their own, so that no two slices overlap, and the update
    // has exclusive use of them: backward passes have ended, and libtorch keeps no thread that writes to them.
    let (p, m, v, g) = unsafe {
        let writable = |t: &Tensor| std::slice::from_raw_parts_mut(t.data_ptr().cast::<f32>(), count);
        let g = std::slice::from_raw_parts(gradient.data_ptr().cast::<f32>(), count);
        (writable(&slot.parameter), writable(&slot.exp_avg), writable(&slot.exp_avg_sq), g)
    };
    let moved = p.chunks_mut(A_PART).zip(m.chunks_mut(A_PART)).zip(v.chunks_mut(A_PART)).zip(g.chunks(A_PART));
    moved.map(|(((parameter, exp_avg), exp_avg_sq), gradient)| Part { parameter, exp_avg, exp_avg_sq, gradient })
}
