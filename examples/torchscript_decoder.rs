//! A likelihood that was written in Python, in a model that is trained here: Poisson latents whose decoder is a TorchScript module.
//!
//! `examples/torchscript_decoder.py` makes the module; its `forward(z, x)` is `log p(x | z)`. Its parameters join the model's own in one
//! store, so that one optimiser trains both, and gradients go from Python's program through the relaxed counts into the encoder.
//!
//! A TorchScript file is a program: load only files that you trust.
//!
//! cargo run --release --example torchscript_decoder

use gengs::data::{Dataset, ImageSet, epoch_order};
use gengs::nn::{Adam, Mlp};
use gengs::prelude::*;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, TrainableCModule};

/// Counts that the decoder takes; its author said so.
const LATENTS: i64 = 8;

pub struct Model {
    pub store: VarStore,
    encoder: Mlp,
    decoder: TrainableCModule,
    prior: TruncatedDistribution,
}

impl Model {
    pub fn new(decoder: &Path, pixels: i64) -> anyhow::Result<Self> {
        let store = VarStore::new(Device::Cpu);
        let encoder = Mlp::new(&(store.root() / "encoder"), &[pixels, 64, LATENTS]);
        // The module's parameter `layers.0.weight` becomes `decoder.layers_0_weight` of the store.
        let decoder = TrainableCModule::load(decoder, store.root() / "decoder")?;
        let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(2f32))?, &Truncation::right(12))?;
        Ok(Self { store, encoder, decoder, prior })
    }

    /// The mean negative ELBO of images `[B, pixels]`, in nats.
    pub fn loss(&self, x: &Tensor) -> anyhow::Result<Tensor> {
        let rate = self.encoder.forward(x).softplus() + 1e-6;
        let q =
            TruncatedDistribution::new(&unchecked(|| Poisson::new(&rate))?, &Truncation::right(12).allow_low_mass())?;
        let z = Relaxation::new(&q, 0.5)?.rsample(&[])?;
        let log_likelihood = self.decoder.forward_ts(&[&z, x])?;
        let kl = q.kl(&self.prior)?.sum_dim_intlist(-1, false, None::<Kind>);
        Ok((kl - log_likelihood).mean(Kind::Float))
    }
}

/// Trains for some steps, and returns the loss of each.
pub fn train(model: &Model, data: &Dataset, steps: usize) -> anyhow::Result<Vec<f64>> {
    let mut adam = Adam::new(&model.store, 3e-3)?;
    let order = epoch_order(data.train.len(), 0, 1);
    let step = |step: usize| {
        let start = step as i64 * 100 % (data.train.len() - 99);
        let loss = model.loss(&data.train.batch(&order.narrow(0, start, 100)))?;
        adam.minimize(&loss, false)?;
        Ok(loss.double_value(&[]))
    };
    (0..steps).map(step).collect()
}

fn main() -> anyhow::Result<()> {
    tch::manual_seed(0);
    let data = ImageSet::Mnist5k.load(None)?;
    let model = Model::new(Path::new("tests/fixtures/weights/decoder.pt"), data.train.size())?;
    for (i, losses) in train(&model, &data, 400)?.chunks(100).enumerate() {
        println!("steps {:3} on: -ELBO {:.1} nats", i * 100, losses.iter().sum::<f64>() / losses.len() as f64);
    }
    Ok(())
}
