//! Milliseconds a training step of the VAE: `cargo bench --bench vae_step -- explicit|implicit THREADS STEPS one-pass|graph`.
//!
//! The counterpart of `benches/peers/vae_step.py`; `benches/peers/vae_step.sh` runs the two in alternation.

use gengs::data::{Images, Pixels, epoch_order};
use gengs::models::Vae;
use gengs::nn::Adam;
use gengs::relaxation::Forward;
use gengs::relaxation::one_pass::NoiseKey;
use gengs::training::TrainConfig;
use std::time::Instant;
use tch::nn::VarStore;
use tch::{Device, Kind};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let word = |i: usize, default: &str| words.get(i).cloned().unwrap_or(default.to_string());
    let inference = toml::from_str::<TrainConfig>(&format!("inference = \"{}\"", word(0, "implicit")))?.inference;
    tch::set_num_threads(word(1, "1").parse()?);
    let steps: i64 = word(2, "200").parse()?;
    let one_pass = word(3, "one-pass") == "one-pass";
    let key = |step: i64| one_pass.then(|| NoiseKey::new(0, step as u64));

    tch::manual_seed(0);
    let config = TrainConfig { inference, ..TrainConfig::default() };
    let store = VarStore::new(Device::Cpu);
    let vae = Vae::new(&store.root(), &config.vae(784))?;
    let mut adam = Adam::new(&store, config.lr)?;
    let bytes: Vec<u8> = (0..50_000u64 * 784).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as u8).collect();
    let images = Images::new(&bytes, 50_000, 784, Pixels::Binary)?;
    let order = epoch_order(50_000, 0, 1);
    let mut step = |i: i64| -> anyhow::Result<()> {
        let x = images.batch(&order.narrow(0, i * 100 % 50_000, 100));
        let elbo = vae.relaxed_elbo(&x, 0.5, Forward::Soft, key(i))?;
        let loss = (elbo.reconstruction.sum(None::<Kind>) + elbo.kl.sum(None::<Kind>)) / 100.0;
        adam.zero_grad();
        loss.backward();
        adam.step();
        Ok(())
    };
    for i in 0..20 {
        step(i)?;
    }
    let start = Instant::now();
    for i in 0..steps {
        step(i)?;
    }
    println!("{}", start.elapsed().as_secs_f64() / steps as f64 * 1e3);
    Ok(())
}
