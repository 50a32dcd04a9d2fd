//! Speed on a device, as JSON lines: `cargo bench --bench device -- [DEVICE] [small]`.
//!
//! The one-pass sampler's draw and backward pass in millions of latents a second, with the bytes that wait for the backward pass, and milliseconds of a
//! training step of the VAE at three batch sizes. `scripts/gpu-check.sh` runs it beside the same in PyTorch (`scripts/gpu-check/peers.py`).

use gengs::models::Vae;
use gengs::nn::Adam;
use gengs::prelude::*;
use gengs::relaxation::Pathwise;
use gengs::sampler::{NoiseKey, OnePass};
use gengs::training::TrainConfig;
use serde_json::json;
use std::time::Instant;
use tch::nn::VarStore;
use tch::{Cuda, Device, Kind, Tensor};

gengs::threads_wait_briefly!();

/// Waits until the device has done all that it was told.
fn finish(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// Median seconds of a call, of at least seven and as many as a second has.
fn seconds(device: Device, mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    for _ in 0..3 {
        run()?;
    }
    finish(device);
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.len() < 7 || began.elapsed().as_secs_f64() < 1.0 {
        let start = Instant::now();
        run()?;
        finish(device);
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Free memory of the current CUDA device, by the runtime that libtorch has loaded; `None` elsewhere.
fn free_memory(device: Device) -> Option<usize> {
    if device == Device::Cpu {
        return None;
    }
    let process = libloading::os::unix::Library::this();
    let (mut free, mut total) = (0usize, 0usize);
    // SAFETY: `cudaError_t cudaMemGetInfo(size_t *free, size_t *total)` is part of the CUDA runtime's interface.
    let status = unsafe {
        let get = process.get::<unsafe extern "C" fn(*mut usize, *mut usize) -> i32>(b"cudaMemGetInfo\0").ok()?;
        get(&mut free, &mut total)
    };
    (status == 0).then_some(free)
}

fn sampler(device: Device, rows: i64) -> anyhow::Result<()> {
    const LATENTS: i64 = 512;
    let rate = (Tensor::rand([rows, LATENTS], (Kind::Float, device)) * 2.0 + 1e-3).set_requires_grad(true);
    let sampler = OnePass::new(0, 11, 0.5)?.allow_low_mass();
    let draw = |step: u64| sampler.rsample(&unchecked(|| Poisson::new(&rate))?, NoiseKey::new(0, step));
    let time = seconds(device, || {
        let z = draw(1)?.z;
        Tensor::run_backward(&[z.sum(Kind::Float)], &[&rate], false, false);
        Ok(())
    })?;
    let millions = (rows * LATENTS) as f64 / 1e6;
    // Libtorch keeps freed memory for itself, so that free memory falls by what further draws hold.
    let kept = free_memory(device).and_then(|before| {
        let draws: Vec<_> = (0..8).map(&draw).collect::<Result<_, _>>().ok()?;
        finish(device);
        let after = free_memory(device)?;
        Some(before.saturating_sub(after) as f64 / (draws.len() as f64 * millions * 1e6))
    });
    println!(
        "{}",
        json!({"what": "sampler", "rows": rows, "latents": LATENTS, "atoms": 12, "by": draw(2)?.drawn_by.to_string(),
        "millions_a_second": millions / time, "bytes_kept_a_latent": kept})
    );
    Ok(())
}

fn vae_step(device: Device, batch: i64) -> anyhow::Result<()> {
    let config = TrainConfig::default();
    let store = VarStore::new(device);
    let vae = Vae::new(&store.root(), &config.vae(784))?;
    let mut adam = Adam::new(&store, config.lr)?;
    let x = Tensor::rand([batch, 784], (Kind::Float, device)).lt(0.13).to_kind(Kind::Float);
    let mut step = 0;
    let time = seconds(device, || {
        step += 1;
        let (elbo, product) = vae.pathwise_elbo_sparse(
            &x,
            Pathwise::Relaxed { temperature: 0.5, forward: Forward::Soft },
            Some(NoiseKey::new(0, step)),
        )?;
        let loss = (elbo.reconstruction.sum(None::<Kind>) + elbo.kl.sum(None::<Kind>)) / batch as f64;
        Ok(adam.minimize_products(&loss, product.as_slice())?)
    })?;
    println!("{}", json!({"what": "vae step", "batch": batch, "milliseconds": time * 1e3}));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let device = gengs::device::device(words.first().map_or("auto", String::as_str))?;
    gengs::keep_freed_memory();
    tch::manual_seed(0);
    let small = words.iter().any(|word| word == "small");
    sampler(device, if small { 64 } else { 4096 })?;
    let batches: &[i64] = if small { &[100] } else { &[100, 1_000, 10_000] };
    batches.iter().try_for_each(|&batch| vae_step(device, batch))
}
