//! The trained variables and moving averages of estimators, with their optimiser.

use super::expectation::Expectation;
use crate::error::{Error, Result};
use crate::nn::{Adam, Linear};
use crate::platform::limits::check_shape;
use tch::nn::{Path, VarStore};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The variables of an estimator, all named `estimator.*`, and the optimiser of the trained ones.
#[derive(Debug)]
pub struct Learned {
    /// The variables.
    pub store: VarStore,
    /// The optimiser.
    pub adam: Adam,
}

/// A copy of all variables and optimiser state of a [`Learned`].
#[derive(Debug)]
pub(crate) struct Snapshot {
    copies: Vec<Tensor>,
    updates: i64,
}

/// Adam's learning rate for scales and temperatures: single numbers bear larger steps than the weights of networks.
pub(super) const FAST: f64 = 1e-2;

/// Adam's learning rate for networks.
pub(super) const SLOW: f64 = 1e-3;

/// The share of its previous value that a moving average keeps at each call.
const DECAY: f64 = 0.9;

impl Learned {
    /// Makes the variables that `build` adds to the path `estimator`, with an optimiser; returns both with the result
    /// of `build`.
    ///
    /// # Errors
    /// Fails if the device does not exist or has no memory left.
    pub(super) fn new<T>(device: Device, learning_rate: f64, build: impl FnOnce(&Path) -> T) -> Result<(Self, T)> {
        let _ = Tensor::f_zeros([1], (Kind::Float, device))?;
        let store = VarStore::new(device);
        let built = build(&(store.root() / "estimator"));
        let adam = Adam::new(&store, learning_rate)?;
        Ok((Self { store, adam }, built))
    }

    /// Copies all variables and optimiser state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let copies = self.tensors().into_iter().map(|tensor| tensor.detach().copy()).collect();
        Snapshot { copies, updates: self.adam.steps() }
    }

    /// Restores a snapshot of this `Learned`.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let _guard = no_grad_guard();
        for (mut tensor, copy) in self.tensors().into_iter().zip(&snapshot.copies) {
            tensor.copy_(copy);
        }
        self.adam.set_steps(snapshot.updates);
    }

    fn tensors(&self) -> Vec<Tensor> {
        let mut named: Vec<(String, Tensor)> = self.store.variables().into_iter().chain(self.adam.state()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named.into_iter().map(|(_, tensor)| tensor).collect()
    }

    /// Makes one optimiser step on a loss; changes no gradient of other variables.
    pub(super) fn descend(&mut self, loss: &Tensor) -> Result<()> {
        self.adam.minimize(loss, true)
    }
}

/// Moving averages of the mean and the variance of a signal, over the previous calls.
#[derive(Debug)]
pub(super) struct Moments {
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
}

impl Moments {
    /// Starts without previous calls, at mean 0 and standard deviation 1.
    pub fn new(path: &Path) -> Self {
        Self {
            mean: path.zeros_no_train("mean", &[]),
            variance: path.zeros_no_train("variance", &[]),
            weight: path.zeros_no_train("weight", &[]),
        }
    }

    /// Returns the mean over the previous calls, 0 at the first.
    pub fn mean(&self) -> Tensor {
        &self.mean / self.weight.clamp_min(f64::from(f32::MIN_POSITIVE))
    }

    /// Returns the standard deviation over the previous calls, 1 at the first.
    pub fn deviation(&self) -> Tensor {
        let past = self.weight.gt(0.0).to_kind(Kind::Float);
        let variance = &self.variance / self.weight.clamp_min(f64::from(f32::MIN_POSITIVE));
        (variance * &past - past + 1.0).sqrt()
    }

    /// Adds the signal of a call. An empty or non-finite signal changes nothing. The variance is that within the call:
    /// zero for a single number.
    pub fn update(&mut self, signal: &Tensor) {
        if signal.numel() == 0 {
            return;
        }
        let _guard = no_grad_guard();
        let signal = signal.to_kind(Kind::Float);
        let variance = (&signal - signal.mean(Kind::Float)).square().mean(Kind::Float);
        // A signal with a NaN or an infinity is skipped.
        let finite = signal.isfinite().all();
        let keep = |average: &mut Tensor, new: &Tensor| {
            let moved = average.lerp(new, 1.0 - DECAY).where_self(&finite, average);
            average.copy_(&moved);
        };
        keep(&mut self.mean, &signal.mean(Kind::Float));
        keep(&mut self.variance, &variance);
        let one = self.weight.ones_like();
        keep(&mut self.weight, &one);
    }
}

/// Checks the number of `inputs` of a network with `units` in its first layer: at least 1, and small enough for memory.
pub(super) fn check_inputs(what: &str, inputs: i64, units: i64) -> Result<()> {
    if inputs < 1 {
        return Err(Error::parameter(what, inputs, "at least 1"));
    }
    check_shape(&format!("a network's weight for the {what}"), &[units, inputs], Kind::Float)
}

/// The learned part of a control variate: a network of a row's values and of the moments of its law.
#[derive(Debug)]
pub(super) struct Critic {
    /// The numbers of a row: latents, times the dimension of an atom.
    width: i64,
    layers: [Linear; 3],
}

/// The units of each of the critic's two hidden layers.
const HIDDEN: i64 = 64;

impl Critic {
    /// Checks that a network for rows of `width` numbers can be made.
    pub fn check_width(width: i64) -> Result<()> {
        check_inputs("numbers in a row of a learned control variate", width, HIDDEN * 3)
    }

    /// Makes a network for rows of `width` numbers. Its last layer starts at zero, and so does its value.
    pub fn new(path: &Path, width: i64) -> Self {
        let last = Linear::new(&(path / 4), HIDDEN, 1);
        last.clear();
        let first = Linear::new(&(path / 0), 3 * width, HIDDEN);
        Self { width, layers: [first, Linear::new(&(path / 2), HIDDEN, HIDDEN), last] }
    }

    /// Returns the control variate `[samples, rows...]` of values `[samples, rows..., latents]` (`+ [d]`): the
    /// network's output, scaled by the signal's standard deviation and shifted by its mean.
    pub fn value(&self, expectation: &Expectation<'_>, values: &Tensor, signal: &Moments) -> Result<Tensor> {
        let (mean, deviation) =
            (expectation.law.mean().detach(), expectation.law.variance().detach().clamp_min(SMALLEST_VARIANCE).sqrt());
        let width: i64 = values.size().iter().skip(expectation.rows().len() + 1).product();
        if width != self.width {
            return Err(Error::Shape {
                what: "values of a learned control variate".into(),
                found: values.size(),
                expected: format!("rows of {} numbers, the width that the control variate was made for", self.width),
            });
        }
        let standardized = (values - &mean) / &deviation;
        let own_dims = (expectation.rows().len() as i64 + 1..values.dim() as i64).count();
        let features = [standardized, mean.expand_as(values), deviation.log().expand_as(values)]
            .map(|feature| feature.flatten(-(own_dims as i64), -1).to_kind(Kind::Float));
        let [first, second, last] = &self.layers;
        let hidden = second.forward(&first.forward(&Tensor::cat(&features, -1)).tanh()).tanh();
        Ok((last.forward(&hidden).squeeze_dim(-1) * signal.deviation() + signal.mean()).to_kind(values.kind()))
    }
}

/// The least variance by which the critic's inputs are divided: keeps them finite if a law is a single point.
const SMALLEST_VARIANCE: f64 = 1e-6;
