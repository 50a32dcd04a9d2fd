//! Millions of latents a second, sample and backward: the one-pass sampler and the tensor graph, in one run.
//!
//! cargo bench --bench one_pass -- [THREADS]               both, batch 128 x 512, rates uniform in 0..2, windows of 12 and 64 atoms, float32
//! cargo bench --bench one_pass -- [THREADS] one-pass      the one-pass sampler alone at 12 atoms, as one number: what benches/peers reads
//! cargo bench --bench one_pass -- [THREADS] finite-order  draws of orders 1 to 3 against relaxed ones, 12 atoms, and what the tensors cost around the sampler
//! cargo bench --bench one_pass -- memory                  bytes that wait for the backward pass, for 12 and 10,000 atoms (glibc)
//! cargo bench --bench one_pass -- [THREADS] mixed         rates .1 and 1,000 in windows of their own, against the two apart

use gengs::prelude::*;
use gengs::relaxation::Order;
use gengs::sampler::{NoiseKey, OnePass};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Seconds of the fastest of several runs, fifteen or as many as half a second has.
fn seconds(mut run: impl FnMut()) -> f64 {
    run();
    let (began, mut runs, mut best) = (Instant::now(), 0, f64::INFINITY);
    while runs < 15 || began.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// Draws once with a gradient in the rate.
fn one_pass(sampler: &OnePass<'_>, rate: &Tensor) {
    let law = unchecked(|| Poisson::new(rate)).expect("rates are floats");
    let draw = sampler.rsample(&law, NoiseKey::new(0, 1)).expect("the sampler runs");
    backward(draw.kl.map_or(draw.z.shallow_clone(), |kl| draw.z + kl), rate);
}

fn backward(of: Tensor, rate: &Tensor) {
    drop(Tensor::run_backward(&[of.sum(Kind::Float)], &[rate], false, false));
}

fn main() -> gengs::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let threads = words.iter().filter_map(|word| word.parse().ok()).next().unwrap_or(1);
    let asked = |what: &str| words.iter().any(|word| word == what);
    gengs::keep_freed_memory();
    tch::set_num_threads(threads);
    tch::manual_seed(0);
    let rate = (Tensor::rand([128, 512], (Kind::Float, Device::Cpu)) * 2.0 + 1e-3).set_requires_grad(true);
    let millions = 128.0 * 512.0 / 1e6;
    if asked("one-pass") {
        println!(
            "{}",
            millions / seconds(|| one_pass(&OnePass::new(0, 11, 0.5).expect("a window").allow_low_mass(), &rate))
        );
        return Ok(());
    }
    if asked("memory") {
        return memory();
    }
    println!("threads {threads}");
    if asked("mixed") {
        return mixed();
    }
    if asked("finite-order") {
        return finite_order(&rate);
    }
    for atoms in [12, 64] {
        let window = Truncation::right(atoms).allow_low_mass();
        let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(1.0f32))?, &window)?;
        let plain = OnePass::new(0, atoms - 1, 0.5)?.allow_low_mass();
        let with_kl = plain.kl_to(&prior)?;
        let graph = |kl: bool| {
            let law = unchecked(|| Poisson::new(&rate)).expect("rates are floats");
            let q = TruncatedDistribution::new(&law, &window).expect("the window holds");
            let z = Relaxation::new(&q, 0.5).and_then(|relaxation| relaxation.rsample(&[])).expect("the sampler runs");
            backward(if kl { z + q.kl(&prior).expect("the same atoms") } else { z }, &rate);
        };
        for (what, one_pass, graph) in [
            ("sample", seconds(|| one_pass(&plain, &rate)), seconds(|| graph(false))),
            ("sample and KL", seconds(|| one_pass(&with_kl, &rate)), seconds(|| graph(true))),
        ] {
            println!(
                "{atoms:3} atoms  {what:14} one pass {:7.2} M/s   tensor graph {:6.2} M/s   ratio {:.1}",
                millions / one_pass,
                millions / graph,
                graph / one_pass
            );
        }
    }
    Ok(())
}

/// Milliseconds for a batch, sample and backward, and the ratio to the relaxed draw of the same window.
fn finite_order(rate: &Tensor) -> gengs::Result<()> {
    let window = Truncation::right(12).allow_low_mass();
    let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(1.0f32))?, &window)?;
    let slope = rate.detach() * 0.5;
    let tensors = seconds(|| backward(rate.detach().addcmul(&(rate - rate.detach()), &slope), rate)) * 1e3;
    println!("tensors alone: {tensors:.3} ms");
    for with_kl in [false, true] {
        let with_prior = |sampler: OnePass<'static>| -> gengs::Result<f64> {
            let sampler = sampler.allow_low_mass();
            Ok(seconds(|| {
                let law = unchecked(|| Poisson::new(rate)).expect("rates are floats");
                let key = NoiseKey::new(0, 1);
                let draw = if with_kl {
                    unchecked(|| sampler.kl_to(&prior).and_then(|sampler| sampler.rsample(&law, key)))
                } else {
                    unchecked(|| sampler.rsample(&law, key))
                }
                .expect("the sampler runs");
                backward(draw.kl.map_or(draw.z.shallow_clone(), |kl| draw.z + kl), rate);
            }) * 1e3)
        };
        let relaxed = with_prior(OnePass::new(0, 11, 0.5)?)?;
        println!("{} relaxed {relaxed:.3} ms", if with_kl { "sample and KL" } else { "sample       " });
        for order in [Order::First, Order::Second, Order::Third] {
            let found = with_prior(OnePass::finite_order(0, 11, order)?)?;
            let (ratio, kernels) = (relaxed / found, (relaxed - tensors) / (found - tensors));
            println!(
                "  order {}: {found:.3} ms, {ratio:.2} times as fast, {kernels:.2} without tensors",
                order.degree()
            );
        }
    }
    Ok(())
}

/// A batch of 64 x 100 latents, half of them at each rate, in turn.
fn mixed() -> gengs::Result<()> {
    let prior = Poisson::new(&Tensor::from(2.0f32))?;
    let sampler = OnePass::own_windows(1e-6, 0.5)?;
    let of = |rates: &[f32], times: i64| Tensor::from_slice(rates).repeat([64, times]).set_requires_grad(true);
    for (what, sampler) in [("sample", sampler), ("sample and KL", sampler.kl_to_law(&prior)?)] {
        let time = |rate: Tensor| seconds(|| one_pass(&sampler, &rate)) * 1e3;
        let (small, large, both) = (time(of(&[0.1], 50)), time(of(&[1000.0], 50)), time(of(&[0.1, 1000.0], 50)));
        println!(
            "{what:14} .1: {small:.2} ms   1,000: {large:.2} ms   mixed: {both:.2} ms   mixed over the sum {:.2}",
            both / (small + large)
        );
    }
    Ok(())
}

/// What malloc has handed out after the forward pass and not before, less the values themselves. On one thread, whose arena malloc counts.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn memory() -> gengs::Result<()> {
    #[repr(C)]
    #[derive(Default)]
    struct Mallinfo2([usize; 10]);
    unsafe extern "C" {
        fn mallinfo2() -> Mallinfo2;
    }
    let in_use = || {
        // SAFETY: glibc's mallinfo2 takes nothing, and returns ten numbers of the size of a pointer.
        let Mallinfo2([_, _, _, _, mapped, _, _, small, _, _]) = unsafe { mallinfo2() };
        (mapped + small) as f64
    };
    tch::set_num_threads(1);
    for (latents, atoms) in [(1_000_000i64, 12), (2_000, 10_000)] {
        let rate = Tensor::full([latents], 1.5f64, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let prior = Poisson::new(&Tensor::from(1.0f32))?;
        let prior = TruncatedDistribution::new(&prior, &Truncation::right(atoms).allow_low_mass())?;
        let sampler = OnePass::new(0, atoms - 1, 0.5)?.kl_to(&prior)?;
        drop(sampler.rsample(&Poisson::new(&rate)?, NoiseKey::new(0, 0))?);
        let before = in_use();
        let draw = sampler.rsample(&Poisson::new(&rate)?, NoiseKey::new(0, 0))?;
        let values = 8.0 * latents as f64;
        let kept = (in_use() - before - values) / latents as f64;
        println!(
            "{atoms:6} atoms: {kept:.1} bytes a latent wait for the backward pass, drawn by the {}",
            draw.drawn_by
        );
    }
    Ok(())
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn memory() -> gengs::Result<()> {
    println!("not measured: this needs glibc's mallinfo2");
    Ok(())
}
