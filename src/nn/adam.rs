//! Adam with a state that can be saved.
//!
//! The arithmetic is that of `torch.optim.Adam` with its defaults (`betas = (0.9, 0.999)`, `eps = 1e-8`), with one
//! addition: an update with a loss or gradient that is not finite is skipped as a whole, and [`Adam::skipped`] reports
//! it.
//!
//! # Source
//! Kingma, Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980.

use super::adam_step::{AdamStep, ParamState};
use super::dense::{BETA1, BETA2};
use super::finite::{Verdict, examine};
use super::{Rows, SparseProduct};
use crate::autograd::gradients as gradients_of;
use crate::error::{Error, Result};
use crate::platform::memory::in_large_pages;
use tch::nn::VarStore;
use tch::{Kind, Tensor, no_grad_guard};

/// The optimiser: parameters in the order of their names, with two moving averages each.
#[derive(Debug)]
pub struct Adam {
    slots: Vec<ParamState>,
    learning_rate: f64,
    steps: i64,
    skipped: Skipped,
    /// On a device: the number of skipped updates, the index of the first tensor that was not finite (-1 for none), and
    /// the parameters' names by index.
    on_device: Option<(Tensor, Tensor, Vec<String>)>,
}

/// Updates that were skipped because the loss or a gradient was not finite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The number of skipped updates.
    pub updates: i64,
    /// What was not finite at the first of them: `the loss`, or `the gradient of` a parameter; `None` if none was
    /// skipped.
    pub first: Option<String>,
}

impl Adam {
    /// Makes an optimiser for all trainable variables of a store.
    ///
    /// # Errors
    /// Fails if the learning rate is not positive and finite.
    pub fn new(store: &VarStore, learning_rate: f64) -> Result<Self> {
        let learning_rate = checked(learning_rate)?;
        let mut slots: Vec<ParamState> = store
            .variables()
            .into_iter()
            .filter(|(_, parameter)| parameter.requires_grad())
            .map(|(name, parameter)| {
                let zeros = || parameter.detach().zeros_like().to_kind(kind_of_averages(parameter.kind()));
                let slot = ParamState { name, exp_avg: zeros(), exp_avg_sq: zeros(), parameter };
                [&slot.parameter, &slot.exp_avg, &slot.exp_avg_sq].into_iter().for_each(in_large_pages);
                slot
            })
            .collect();
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { slots, learning_rate, steps: 0, skipped: Skipped::default(), on_device: None })
    }

    /// Sets the gradients of all parameters to zero.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// Makes one update from the gradients that the parameters carry; parameters without gradient stay unchanged.
    ///
    /// # Errors
    /// Fails if libtorch reports an error.
    pub fn step(&mut self) -> Result<()> {
        let gradients: Vec<Tensor> = self.slots.iter().map(|slot| slot.parameter.grad()).collect();
        self.apply(&gradients)
    }

    /// Makes one update from the gradient of a loss; `keep_graph` keeps its graph for a second backward pass. The
    /// gradients that parameters carry are neither used nor changed.
    ///
    /// # Errors
    /// Fails before anything changes if the loss is not one number with a graph.
    pub fn minimize(&mut self, loss: &Tensor, keep_graph: bool) -> Result<()> {
        let parameters: Vec<&Tensor> = self.slots.iter().map(|slot| &slot.parameter).collect();
        let gradients = gradients_of(loss, &parameters, keep_graph, false)?;
        self.update(loss, &gradients)
    }

    /// Makes one update as [`minimize`](Self::minimize) does, if the graph holds some weights only through
    /// [`SparseProduct`]s.
    ///
    /// # Errors
    /// Fails as [`minimize`](Self::minimize) does.
    pub fn minimize_products(&mut self, loss: &Tensor, products: &[SparseProduct]) -> Result<()> {
        let product = |slot: &ParamState| products.iter().find(|product| product.name == slot.name);
        let inputs: Vec<&Tensor> =
            self.slots.iter().map(|slot| product(slot).map_or(&slot.parameter, |product| &product.leaf)).collect();
        let mut gradients = gradients_of(loss, &inputs, false, false)?;
        for (slot, gradient) in self.slots.iter().zip(&mut gradients) {
            if let Some(product) = product(slot).filter(|_| gradient.defined()) {
                *gradient = product.gradient(gradient);
            }
        }
        self.update(loss, &gradients)
    }

    /// Makes one update as [`minimize`](Self::minimize) does, if the graph holds some tables only through the [`Rows`]
    /// of a step. Parameters and averages of these tables change in the given rows alone, as with
    /// `torch.optim.SparseAdam`. A table may have several lists of rows; a row in two of them is updated twice.
    ///
    /// # Errors
    /// Fails as [`minimize`](Self::minimize) does.
    pub fn minimize_rows(&mut self, loss: &Tensor, rows: &[Rows]) -> Result<()> {
        let dense: Vec<usize> =
            (0..self.slots.len()).filter(|&i| rows.iter().all(|rows| rows.name != self.slots[i].name)).collect();
        let parameters = dense.iter().map(|&i| &self.slots[i].parameter);
        let inputs: Vec<&Tensor> = parameters.chain(rows.iter().map(|rows| &rows.leaf)).collect();
        let gradients = gradients_of(loss, &inputs, false, false)?;
        let _guard = no_grad_guard();
        let names = dense.iter().map(|&i| self.slots[i].name.clone()).chain(rows.iter().map(|rows| rows.name.clone()));
        let names = names.collect();
        let Some(rule) = self.next_rule(loss, &gradients, names)? else { return Ok(()) };
        let (of_slots, of_rows) = gradients.split_at(dense.len());
        let of_rows_only = |slot: &ParamState| rows.iter().any(|rows| rows.name == slot.name);
        rule.update(self.slots.iter_mut().filter(|slot| !of_rows_only(slot)).zip(of_slots));
        for (rows, gradient) in rows.iter().zip(of_rows) {
            for slot in self.slots.iter_mut().filter(|slot| slot.name == rows.name) {
                rule.update_rows(slot, rows, gradient)?;
            }
        }
        Ok(())
    }

    /// Makes one update from gradients in the order of the parameters' names; an undefined gradient leaves its
    /// parameter unchanged.
    ///
    /// # Errors
    /// Fails before anything changes if there is not one gradient per parameter, or if a gradient has another shape,
    /// kind or device than its parameter.
    pub fn apply(&mut self, gradients: &[Tensor]) -> Result<()> {
        if gradients.len() != self.slots.len() {
            let allowed = format!("{}: one per parameter, in the order of their names", self.slots.len());
            return Err(Error::parameter("number of gradients", gradients.len(), allowed));
        }
        for (ParamState { name, parameter, .. }, gradient) in
            self.slots.iter().zip(gradients).filter(|(_, g)| g.defined())
        {
            if gradient.size() != parameter.size() {
                let expected = format!("the parameter's {:?}", parameter.size());
                return Err(Error::Shape { what: format!("the gradient of {name}"), found: gradient.size(), expected });
            }
            let [found, expected] = [gradient, parameter].map(|tensor| (tensor.kind(), tensor.device()));
            if found != expected {
                let (what, found) = (format!("kind and device of the gradient of {name}"), format!("{found:?}"));
                return Err(Error::parameter(what, found, format!("the parameter's, {expected:?}")));
            }
        }
        self.update(&Tensor::new(), gradients)
    }

    fn update(&mut self, loss: &Tensor, gradients: &[Tensor]) -> Result<()> {
        let _guard = no_grad_guard();
        let names = self.slots.iter().map(|slot| slot.name.clone()).collect();
        let Some(rule) = self.next_rule(loss, gradients, names)? else { return Ok(()) };
        rule.update(self.slots.iter_mut().zip(gradients));
        Ok(())
    }

    /// Returns the next update; `None` if a loss or a gradient is not finite. On a device this is known only later: the
    /// update then carries a flag.
    fn next_rule(&mut self, loss: &Tensor, gradients: &[Tensor], names: Vec<String>) -> Result<Option<AdamStep>> {
        let examined: Vec<&Tensor> = std::iter::once(loss).chain(gradients).collect();
        let finite = match examine(&examined)? {
            Verdict::Finite => None,
            Verdict::NotFinite(index) => {
                self.skipped.updates += 1;
                self.skipped.first.get_or_insert_with(|| examined_name(index, &names));
                return Ok(None);
            }
            Verdict::Device(flags) => Some(self.record_on_device(&flags, names)?),
        };
        Ok(Some(self.count_update(finite)))
    }

    /// Counts an update and computes its bias corrections.
    fn count_update(&mut self, finite: Option<Tensor>) -> AdamStep {
        self.steps = self.steps.saturating_add(1);
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = 1.0 - BETA1.powi(steps);
        let correction2 = (1.0 - BETA2.powi(steps)).sqrt();
        AdamStep { learning_rate: self.learning_rate / correction1, correction: 1.0 / correction2, finite }
    }

    /// Records on the device what was not finite; returns whether everything was finite, `[]`.
    fn record_on_device(&mut self, flags: &Tensor, names: Vec<String>) -> Result<Tensor> {
        let finite = flags.f_all()?;
        let integers = (Kind::Int64, flags.device());
        let (count, first, _) = match self.on_device.take() {
            Some(on_device) => on_device,
            None => (Tensor::zeros([], integers), Tensor::full([], -1, integers), Vec::new()),
        };
        let count = count + finite.logical_not().to_kind(Kind::Int64);
        // The index of the first false flag, unless an earlier update had one.
        let index = flags.to_kind(Kind::Int64).f_argmin(None, false)?;
        let first = first.f_where_self(&first.ge(0).logical_or(&finite), &index)?;
        self.on_device = Some((count, first, names));
        Ok(finite)
    }

    /// Returns the updates skipped since the last call. On a device, this is the only call that waits; until then,
    /// skipped updates count in the bias corrections.
    ///
    /// # Errors
    /// Fails if libtorch reports an error.
    pub fn skipped(&mut self) -> Result<Skipped> {
        let mut skipped = std::mem::take(&mut self.skipped);
        if let Some((count, first, names)) = self.on_device.take() {
            let (count, first) = (count.f_int64_value(&[])?, first.f_int64_value(&[])?);
            self.steps -= count;
            skipped.updates += count;
            if let Ok(index) = usize::try_from(first) {
                skipped.first.get_or_insert_with(|| examined_name(index, &names));
            }
        }
        Ok(skipped)
    }

    /// Sets the learning rate, from the next update on.
    ///
    /// # Errors
    /// Fails if it is not positive and finite.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.learning_rate = checked(learning_rate)?;
        Ok(())
    }

    /// Returns the number of updates.
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// Returns the moving averages, named `adam.exp_avg.PARAMETER` and `adam.exp_avg_sq.PARAMETER`.
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

    /// Sets the number of updates so far; a negative number counts as zero. The caller overwrites the tensors of
    /// [`state`](Self::state).
    pub fn set_steps(&mut self, steps: i64) {
        self.steps = steps.max(0);
    }
}

/// Returns the kind of the moving averages: float32 for 16-bit kinds, in which squares of gradients underflow.
fn kind_of_averages(kind: Kind) -> Kind {
    if matches!(kind, Kind::Half | Kind::BFloat16) { Kind::Float } else { kind }
}

/// Checks that the learning rate is positive and finite.
fn checked(learning_rate: f64) -> Result<f64> {
    if learning_rate > 0.0 && learning_rate.is_finite() {
        return Ok(learning_rate);
    }
    Err(Error::parameter("learning rate", learning_rate, "positive and finite"))
}

/// Names the examined tensor at an index: the loss, then the gradients.
fn examined_name(index: usize, names: &[String]) -> String {
    match index.checked_sub(1).and_then(|i| names.get(i)) {
        Some(name) => format!("the gradient of {name}"),
        None => "the loss".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;
    use tch::nn::Init;

    fn tensors(adam: &Adam) -> Vec<Vec<f32>> {
        let parameters = adam.slots.iter().map(|slot| slot.parameter.shallow_clone());
        let all = parameters.chain(adam.state().into_iter().map(|(_, tensor)| tensor));
        all.map(|tensor| Vec::try_from(tensor.detach()).unwrap()).collect()
    }

    /// A gradient that is finite, and one that is not.
    fn gradients() -> [Vec<Tensor>; 2] {
        let [good, bad] = [0.5f32, f32::NAN].map(|x| Tensor::from_slice(&[1.0f32, x]));
        [vec![good.shallow_clone(), good.shallow_clone()], vec![good, bad]]
    }

    fn adam() -> Adam {
        let store = VarStore::new(Device::Cpu);
        let _ = ["a", "b"].map(|name| store.root().var(name, &[2], Init::Const(1.0)));
        Adam::new(&store, 0.1).unwrap()
    }

    /// The update as it is made on a device, here with a flag in the host's memory.
    fn apply_as_on_a_device(adam: &mut Adam, gradients: &[Tensor]) {
        let _guard = no_grad_guard();
        let flags: Vec<Tensor> =
            std::iter::once(Tensor::from(true)).chain(gradients.iter().map(|g| g.isfinite().all())).collect();
        let finite = adam.record_on_device(&Tensor::stack(&flags, 0), vec!["a".into(), "b".into()]).unwrap();
        let rule = adam.count_update(Some(finite));
        for (slot, gradient) in adam.slots.iter_mut().zip(gradients) {
            rule.apply(slot, gradient);
        }
    }

    #[test]
    fn an_update_that_is_not_finite_is_left_out_on_the_host_and_on_a_device() {
        let [good, bad] = gradients();
        let (mut host, mut device) = (adam(), adam());
        for gradients in [&good, &bad, &good] {
            let before = [tensors(&host), tensors(&device)];
            host.apply(gradients).unwrap();
            apply_as_on_a_device(&mut device, gradients);
            let after = [tensors(&host), tensors(&device)];
            if std::ptr::eq(gradients, &bad) {
                assert_eq!(after, before);
                let expected = Skipped { updates: 1, first: Some("the gradient of b".into()) };
                assert_eq!((host.skipped().unwrap(), device.skipped().unwrap()), (expected.clone(), expected));
            }
            for (a, b) in after[0].iter().flatten().zip(after[1].iter().flatten()) {
                assert!((a - b).abs() < 1e-6, "{a} {b}");
            }
            assert_eq!((host.skipped().unwrap(), device.skipped().unwrap()), (Skipped::default(), Skipped::default()));
        }
        assert_eq!((host.steps(), device.steps()), (2, 2));
    }

    #[test]
    fn losses_without_a_graph_and_gradients_that_do_not_fit_change_nothing() {
        let mut adam = adam();
        let before = tensors(&adam);
        let vector = adam.slots[0].parameter.shallow_clone();
        for loss in [Tensor::from(1.0f32), Tensor::new(), vector] {
            assert!(adam.minimize(&loss, false).is_err());
            assert!(adam.minimize_products(&loss, &[]).is_err() && adam.minimize_rows(&loss, &[]).is_err());
        }
        let good = Tensor::from_slice(&[1.0f32, 2.0]);
        for wrong in [Tensor::from(1.0f32), good.to_kind(Kind::Double), good.reshape([1, 2])] {
            assert!(adam.apply(&[good.shallow_clone(), wrong]).is_err());
        }
        assert!(adam.apply(&[good]).is_err());
        assert_eq!((tensors(&adam), adam.steps()), (before, 0));
    }

    /// Gradients that are the parameters themselves, each the other's: as if they had been copied before.
    #[test]
    fn gradients_that_share_memory_with_parameters_are_as_their_copies() {
        let views =
            |adam: &Adam| -> Vec<Tensor> { adam.slots.iter().rev().map(|slot| slot.parameter.detach()).collect() };
        let (mut found, mut expected) = (adam(), adam());
        for _ in 0..3 {
            let copies: Vec<Tensor> = views(&expected).iter().map(Tensor::copy).collect();
            expected.apply(&copies).unwrap();
            let gradients = views(&found);
            found.apply(&gradients).unwrap();
        }
        for (found, expected) in tensors(&found).iter().flatten().zip(tensors(&expected).iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_named_first() {
        let mut adam = adam();
        let loss = adam.slots.iter().map(|slot| slot.parameter.sum(Kind::Float)).sum::<Tensor>() * f64::INFINITY;
        adam.minimize(&loss, false).unwrap();
        assert_eq!(adam.skipped().unwrap(), Skipped { updates: 1, first: Some("the loss".into()) });
        assert_eq!(adam.steps(), 0);
    }
}
