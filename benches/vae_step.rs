//! Milliseconds a training step of the VAE: `cargo bench --bench vae_step -- explicit|implicit THREADS STEPS one-pass|graph|profile|inputs [FOLDER]`.
//!
//! Of static MNIST in that folder, or without one, of noise with as many pixels on. The counterpart of `benches/peers/vae_step.py`; `benches/peers/run.py` runs the two in
//! alternation. `profile` takes the step apart; `inputs` times the first layer by the pixels that are on, of more and more of them, and by dense products.

use anyhow::Context;
use gengs::data::{ImageSet, Images, Pixels, epoch_order};
use gengs::models::{Inference, Vae};
use gengs::nn::{Adam, Mlp};
use gengs::prelude::*;
use gengs::relaxation::Pathwise;
use gengs::sampler::{NoiseKey, OnePass};
use gengs::training::TrainConfig;
use std::time::Instant;
use tch::nn::VarStore;
use tch::{Device, Kind, Reduction, Tensor};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let word = |i: usize, default: &str| words.get(i).cloned().unwrap_or(default.to_string());
    let inference = toml::from_str::<TrainConfig>(&format!("inference = \"{}\"", word(0, "implicit")))?.inference;
    gengs::keep_freed_memory();
    tch::set_num_threads(word(1, "1").parse()?);
    let steps: i64 = word(2, "200").parse()?;
    if word(3, "one-pass") == "inputs" {
        return inputs(steps);
    }
    let images = images(words.get(4))?;
    if word(3, "one-pass") == "profile" {
        return profile(inference, steps, &images);
    }
    let one_pass = word(3, "one-pass") == "one-pass";
    let key = |step: i64| one_pass.then(|| NoiseKey::new(0, step as u64));

    tch::manual_seed(0);
    let config = TrainConfig { inference, ..TrainConfig::default() };
    let store = VarStore::new(Device::Cpu);
    let vae = Vae::new(&store.root(), &config.vae(784))?;
    let mut adam = Adam::new(&store, config.lr)?;
    let order = epoch_order(50_000, 0, 1);
    let mut step = |i: i64| -> anyhow::Result<()> {
        let x = images.batch(&order.narrow(0, i * 100 % 50_000, 100));
        let (elbo, product) =
            vae.pathwise_elbo_sparse(&x, Pathwise::Relaxed { temperature: 0.5, forward: Forward::Soft }, key(i))?;
        let loss = (elbo.reconstruction.sum(None::<Kind>) + elbo.kl.sum(None::<Kind>)) / 100.0;
        Ok(adam.minimize_products(&loss, product.as_slice())?)
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

fn images(folder: Option<&String>) -> gengs::Result<Images> {
    if let Some(folder) = folder {
        return Ok(ImageSet::StaticMnist.load(Some(folder.as_ref()))?.train);
    }
    /// Share of pixels that are on in static MNIST.
    const ON: f64 = 0.13;
    let uniform = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64;
    let bytes: Vec<u8> = (0..50_000 * 784).map(|i| u8::from(uniform(i) < ON)).collect();
    Images::new(&bytes, 50_000, 784, Pixels::Binary)
}

/// The same step in parts, each timed by itself: the graph is cut where a part ends. The matrix products are then timed alone.
fn profile(inference: Inference, steps: i64, images: &Images) -> anyhow::Result<()> {
    const PARTS: [&str; 8] = [
        "batch",
        "encoder",
        "sampler and KL",
        "decoder and loss",
        "decoder, backward",
        "sampler and KL, backward",
        "encoder, backward",
        "Adam",
    ];
    tch::manual_seed(0);
    let store = VarStore::new(Device::Cpu);
    let outputs = if inference == Inference::Implicit { 600 } else { 50 };
    let encoder = Mlp::new(&(store.root() / "encoder"), &[784, 500, 500, outputs]);
    let decoder = Mlp::new(&(store.root() / "decoder"), &[50, 500, 500, 784]);
    let mut adam = Adam::new(&store, 1e-3)?;
    let order = epoch_order(50_000, 0, 1);
    let prior =
        TruncatedDistribution::new(&Poisson::new(&Tensor::from(2.0f32))?, &Truncation::right(12).allow_low_mass())?;
    let sampler = OnePass::new(0, 11, 0.5)?.kl_to(&prior)?;
    // In the order of their names, as Adam has them: the decoder's come first.
    let mut variables: Vec<(String, Tensor)> = store.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    let of = |part: &'static str| variables.iter().map(|(n, v)| (n, v)).filter(move |(name, _)| name.starts_with(part));
    let decoder_variables: Vec<&Tensor> = of("decoder").map(|(_, variable)| variable).collect();
    let mut seconds = [0.0; PARTS.len()];
    for i in 0..steps + 20 {
        if i == 20 {
            seconds = [0.0; PARTS.len()];
        }
        let mut clock = Instant::now();
        let mut lap = |part: usize| {
            seconds[part] += clock.elapsed().as_secs_f64();
            clock = Instant::now();
        };
        let x = images.batch(&order.narrow(0, i * 100 % 50_000, 100));
        lap(0);
        let (encoded, product) = encoder.forward_sparse(&x);
        lap(1);
        let output = encoded.detach().set_requires_grad(true);
        let key = NoiseKey::new(0, i as u64);
        let draw = if inference == Inference::Implicit {
            sampler.rsample(&output.unflatten(-1, [50, 12]), key)?
        } else {
            sampler.rsample(&unchecked(|| Poisson::new(&((&output + 1.85).softplus() + 1e-6)))?, key)?
        };
        let kl = draw.kl.map_or(Tensor::from(0.0), |kl| kl.sum(Kind::Float) / 100.0);
        lap(2);
        let z = draw.z.detach().set_requires_grad(true);
        let logits = decoder.forward_once(&z);
        let loss =
            logits.binary_cross_entropy_with_logits(&x, None::<&Tensor>, None::<&Tensor>, Reduction::Sum) / 100.0;
        lap(3);
        let back = |of: &Tensor, inputs: &[&Tensor]| Tensor::f_run_backward(&[of], inputs, false, false);
        let mut of_decoder = back(&loss, &[&[&z], &decoder_variables[..]].concat())?;
        let of_z = of_decoder.remove(0);
        lap(4);
        let of_output = back(&((&draw.z * of_z).sum(Kind::Float) + kl), &[&output])?;
        lap(5);
        let leaf = |name: &str| product.as_ref().filter(|product| product.name == name).map(|product| &product.leaf);
        let seen: Vec<&Tensor> = of("encoder").map(|(name, variable)| leaf(name).unwrap_or(variable)).collect();
        let mut of_encoder = back(&(&encoded * &of_output[0]).sum(Kind::Float), &seen)?;
        if let Some(product) = &product {
            let place = of("encoder").position(|(name, _)| *name == product.name).context("no such weight")?;
            of_encoder[place] = product.gradient(&of_encoder[place]);
        }
        lap(6);
        of_decoder.extend(of_encoder);
        adam.apply(&of_decoder)?;
        lap(7);
    }
    let total: f64 = seconds.iter().sum();
    println!("{inference:?}: {:.1} ms, of which", total / steps as f64 * 1e3);
    for (part, seconds) in PARTS.iter().zip(seconds) {
        println!("    {part:26} {:6.2} ms  {:4.1} %", seconds / steps as f64 * 1e3, seconds / total * 100.0);
    }
    println!("    matrix products alone      {:6.2} ms", products(outputs, steps) * 1e3);
    Ok(())
}

/// Seconds of the products of a step: three for each layer, but two for the first, whose input needs no gradient.
fn products(outputs: i64, steps: i64) -> f64 {
    let float = (Kind::Float, Device::Cpu);
    let shapes = [(784, 500), (500, 500), (500, outputs), (50, 500), (500, 500), (500, 784)];
    let layers: Vec<[Tensor; 3]> = shapes
        .iter()
        .map(|&(i, o)| [Tensor::randn([100, i], float), Tensor::randn([o, i], float), Tensor::randn([100, o], float)])
        .collect();
    let mut start = Instant::now();
    for i in 0..steps + 5 {
        if i == 5 {
            start = Instant::now();
        }
        for (l, [x, w, dy]) in layers.iter().enumerate() {
            drop(x.matmul(&w.tr()));
            drop(dy.tr().matmul(x));
            if l > 0 {
                drop(dy.matmul(w));
            }
        }
    }
    start.elapsed().as_secs_f64() / steps as f64
}

/// Milliseconds of the first layer, forward and backward, of images with this share of pixels on: dense, and by the pixels that are on.
fn inputs(steps: i64) -> anyhow::Result<()> {
    let float = (Kind::Float, Device::Cpu);
    let store = VarStore::new(Device::Cpu);
    let layer = Mlp::new(&store.root(), &[784, 500]);
    let variables = store.variables();
    let (weight, of_y) = (&variables["0.weight"], Tensor::randn([100, 500], float));
    for share in [0.05, 0.13, 0.2] {
        let x = Tensor::rand([100, 784], float).lt(share).to_kind(Kind::Float);
        let back =
            |y: &Tensor, of: &Tensor| Tensor::f_run_backward(&[(y * &of_y).sum(Kind::Float)], &[of], false, false);
        let mut seconds = [0.0; 2];
        for _ in 0..steps {
            let clock = Instant::now();
            let dense = back(&layer.forward(&x), weight)?.remove(0);
            seconds[0] += clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            let (y, product) = layer.forward_sparse(&x);
            let product = product.with_context(|| format!("{share} is dense"))?;
            let sparse = product.gradient(&back(&y, &product.leaf)?[0]);
            seconds[1] += clock.elapsed().as_secs_f64();
            anyhow::ensure!(dense.allclose(&sparse, 1e-4, 1e-4, false), "the gradients differ");
        }
        let [dense, sparse] = seconds.map(|seconds| seconds / steps as f64 * 1e3);
        println!("{:3.0} % on: dense {dense:.2} ms, by pixels that are on {sparse:.2} ms", share * 100.0);
    }
    Ok(())
}
