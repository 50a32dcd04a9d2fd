//! What an estimator learns or remembers: a store of its own and an optimiser for it.

use super::expectation::Expectation;
use crate::error::{Error, Result};
use crate::nn::{Adam, Linear};
use crate::platform::limits::check_shape;
use tch::nn::{Path, VarStore};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Variables of an estimator, all named `estimator.*`, and the optimiser of those that are trained.
#[derive(Debug)]
pub struct Learned {
    /// The variables.
    pub store: VarStore,
    /// The optimiser.
    pub adam: Adam,
}

/// What a [`Learned`] held at some time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    copies: Vec<Tensor>,
    updates: i64,
}

/// Adam's learning rate for scales and temperatures, of which there are few.
pub(super) const FAST: f64 = 1e-2;

/// Adam's learning rate for networks.
pub(super) const SLOW: f64 = 1e-3;

/// The share of the past that a moving average keeps at each call.
const KEPT: f64 = 0.9;

impl Learned {
    /// Variables as `build` makes them.
    ///
    /// # Errors
    /// When the device is not there.
    pub(super) fn new<T>(device: Device, learning_rate: f64, build: impl FnOnce(&Path) -> T) -> Result<(Self, T)> {
        let _ = Tensor::f_zeros([1], (Kind::Float, device))?;
        let store = VarStore::new(device);
        let built = build(&(store.root() / "estimator"));
        let adam = Adam::new(&store, learning_rate)?;
        Ok((Self { store, adam }, built))
    }

    /// Copies of all that it holds.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let copies = self.tensors().into_iter().map(|tensor| tensor.detach().copy()).collect();
        Snapshot { copies, updates: self.adam.steps() }
    }

    /// As it was at a snapshot of its own.
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

    /// One step down the gradient of a loss; leaves all other gradients alone.
    pub(super) fn descend(&mut self, loss: &Tensor) -> Result<()> {
        self.adam.minimize(loss, true)
    }
}

/// Moving averages of the mean and the variance of a signal, over the calls before.
#[derive(Debug)]
pub(super) struct Moments {
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
}

impl Moments {
    /// Starts without a past, at mean 0 and variance 1.
    pub fn new(path: &Path) -> Self {
        Self {
            mean: path.zeros_no_train("mean", &[]),
            variance: path.zeros_no_train("variance", &[]),
            weight: path.zeros_no_train("weight", &[]),
        }
    }

    /// The mean of the calls before, 0 at the first.
    pub fn mean(&self) -> Tensor {
        &self.mean / self.weight.clamp_min(f64::from(f32::MIN_POSITIVE))
    }

    /// The standard deviation of the calls before, 1 at the first.
    pub fn deviation(&self) -> Tensor {
        let past = self.weight.gt(0.0).to_kind(Kind::Float);
        let variance = &self.variance / self.weight.clamp_min(f64::from(f32::MIN_POSITIVE));
        (variance * &past - past + 1.0).sqrt()
    }

    /// Adds the signal of a call, if it has one; a single number says nothing of the variance but its distance from the
    /// mean before.
    pub fn update(&mut self, signal: &Tensor) {
        if signal.numel() == 0 {
            return;
        }
        let _guard = no_grad_guard();
        let signal = signal.to_kind(Kind::Float);
        let variance = (&signal - signal.mean(Kind::Float)).square().mean(Kind::Float);
        // A call with a number that is none says nothing.
        let finite = signal.isfinite().all();
        let keep = |average: &mut Tensor, new: &Tensor| {
            let moved = average.lerp(new, 1.0 - KEPT).where_self(&finite, average);
            average.copy_(&moved);
        };
        keep(&mut self.mean, &signal.mean(Kind::Float));
        keep(&mut self.variance, &variance);
        let whole = self.weight.ones_like();
        keep(&mut self.weight, &whole);
    }
}

/// Fails unless a network can be made that sees so many numbers, and has this many units for them.
pub(super) fn check_inputs(what: &str, inputs: i64, units: i64) -> Result<()> {
    if inputs < 1 {
        return Err(Error::parameter(what, inputs, "at least 1"));
    }
    check_shape(&format!("a network's weight for the {what}"), &[units, inputs], Kind::Float)
}

/// A network of a row's values and of its law's moments: the free part of a control variate.
#[derive(Debug)]
pub(super) struct Critic {
    /// Numbers in a row.
    width: i64,
    layers: [Linear; 3],
}

/// Units of the critic's hidden layers.
const HIDDEN: i64 = 64;

impl Critic {
    /// Fails for rows of so many numbers for which there is no network.
    pub fn check_width(width: i64) -> Result<()> {
        check_inputs("numbers in a row of a learned control variate", width, HIDDEN * 3)
    }

    /// For rows of so many numbers. Starts at zero: its last layer is.
    pub fn new(path: &Path, width: i64) -> Self {
        let last = Linear::new(&(path / 4), HIDDEN, 1);
        last.clear();
        let first = Linear::new(&(path / 0), 3 * width, HIDDEN);
        Self { width, layers: [first, Linear::new(&(path / 2), HIDDEN, HIDDEN), last] }
    }

    /// In units of the signal, around its mean: `[samples, rows...]` of values `[samples, rows..., latents]` (`+ [d]`).
    pub fn value(&self, of: &Expectation<'_>, values: &Tensor, signal: &Moments) -> Result<Tensor> {
        let (mean, deviation) =
            (of.law.mean().detach(), of.law.variance().detach().clamp_min(SMALLEST_VARIANCE).sqrt());
        let width: i64 = values.size().iter().skip(of.rows().len() + 1).product();
        if width != self.width {
            return Err(Error::Shape {
                what: "values of a learned control variate".into(),
                found: values.size(),
                expected: format!("rows of {} numbers, for which it was made", self.width),
            });
        }
        let standardized = (values - &mean) / &deviation;
        let own_dims = (of.rows().len() as i64 + 1..values.dim() as i64).count();
        let features = [standardized, mean.expand_as(values), deviation.log().expand_as(values)]
            .map(|feature| feature.flatten(-(own_dims as i64), -1).to_kind(Kind::Float));
        let [first, second, last] = &self.layers;
        let hidden = second.forward(&first.forward(&Tensor::cat(&features, -1)).tanh()).tanh();
        Ok((last.forward(&hidden).squeeze_dim(-1) * signal.deviation() + signal.mean()).to_kind(values.kind()))
    }
}

/// Variance below which a latent counts as this wide: keeps the critic's inputs finite where a law is a point.
const SMALLEST_VARIANCE: f64 = 1e-6;
