//! A training task of one's own: how many photons reached a detector, from its noisy reading, and how strongly it amplifies them.
//!
//! A reading is `gain * z + noise` with `z ~ Poisson(3)`; a network gives `q(z | reading)`. The session does the rest, also for a run that dies and goes on.
//!
//!     cargo run --release --example custom_task

use gengs::nn::{Adam, Mlp};
use gengs::prelude::*;
use gengs::sampler::OnePass;
use gengs::training::{Control, Interval, LoopConfig, Metric, Record, Schedule, Session};
use gengs::training::{StepContext, StepMetric, StepReport, TrainTask, Trained};
use serde::{Deserialize, Serialize};
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, Tensor};

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Epoch {
    epoch: usize,
    loss: f64,
}

impl Record for Epoch {
    fn epoch(&self) -> usize {
        self.epoch
    }
    fn selection_metric(&self) -> Metric {
        Metric { name: "loss", value: self.loss, unit: "nats" }
    }
}

/// Readings `[2000, 1]`, and the model.
struct Task(Tensor, VarStore, Mlp, Tensor, Adam);

impl TrainTask for Task {
    type Settings = LoopConfig;
    type Record = Epoch;
    const METRICS: &'static [StepMetric] = &[StepMetric::mean("loss")];

    fn new(_: &LoopConfig, device: Device) -> gengs::Result<Self> {
        let photons = Poisson::new(&Tensor::from(3f32))?.sample(&[2000, 1])?;
        let readings = &photons * 2.0 + photons.randn_like() * 0.5;
        let store = VarStore::new(device);
        let (network, gain) = (Mlp::new(&store.root(), &[1, 20, 1]), store.root().var("gain", &[1], Init::Const(1.0)));
        let adam = Adam::new(&store, 0.01)?;
        Ok(Self(readings.to_device(device), store, network, gain, adam))
    }
    fn examples(&self) -> i64 {
        self.0.size()[0]
    }
    fn store(&self) -> &VarStore {
        &self.1
    }
    fn optimisers(&mut self) -> Vec<&mut Adam> {
        vec![&mut self.4]
    }
    fn step(&mut self, _: &LoopConfig, at: &StepContext<'_>) -> gengs::Result<Tensor> {
        let Self(readings, _, network, gain, adam) = self;
        let reading = readings.index_select(0, at.indices);
        let prior = Poisson::new(&Tensor::from(3f32))?;
        let sampler = OnePass::new(0, 14, at.temperature)?.kl_to_law(&prior)?;
        let rate = network.forward(&reading).softplus() + 0.01;
        let q = unchecked(|| sampler.rsample(&Poisson::new(&rate)?, at.key))?;
        let loss = ((reading - q.z * &*gain) / 0.5).square().mean(Kind::Float) / 2.0 + q.kl.unwrap().mean(Kind::Float);
        adam.minimize(&loss, false)?;
        Ok(loss)
    }
    fn record(&self, _: &LoopConfig, trained: &Trained) -> gengs::Result<Epoch> {
        Ok(Epoch { epoch: trained.epoch, loss: trained.means.get("loss") })
    }
}

/// Trains, dies, goes on, and compares.
pub fn main() -> anyhow::Result<()> {
    let (temperature, checkpoint_every) = (Schedule { first: 1.0, last: 0.3 }, Interval::Steps(7));
    let settings = LoopConfig { epochs: 5, batch_size: 50, temperature, checkpoint_every, ..LoopConfig::default() };
    let folder = std::env::temp_dir().join("gengs-detector");
    let _ = std::fs::remove_dir_all(&folder);
    let mut whole = Session::<Task>::start(settings, &folder.join("whole"), Device::Cpu)?;
    whole.run(|_| Control::Continue, |epoch| println!("{epoch:.3?}"))?;
    // The same run, which dies in the middle of its fourth epoch, and goes on from its last checkpoint.
    let died = std::panic::catch_unwind(|| {
        let mut session = Session::<Task>::start(settings, &folder.join("killed"), Device::Cpu)?;
        let on_step = |at: &StepReport| match (at.epoch, at.step) {
            (4, 20) => std::panic::resume_unwind(Box::new("killed")),
            _ => Control::Continue,
        };
        session.run(on_step, |_| ())
    });
    assert!(died.is_err());
    let mut resumed = Session::<Task>::resume(&folder.join("killed"), None, None, Device::Cpu)?;
    println!("resumed after {} epochs and {} steps", resumed.progress().epochs, resumed.progress().steps);
    resumed.run(|_| Control::Continue, |_| ())?;
    for (name, weights) in whole.task().store().variables() {
        assert_eq!(weights, resumed.task().store().variables()[&name], "{name}");
    }
    println!("the same bits; gain {:.2}, and 2 in truth", whole.task().3.double_value(&[0]));
    Ok(())
}
