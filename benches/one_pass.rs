//! Millions of latents a second, sample and backward: the one-pass sampler and the tensor graph, in one run.
//!
//! cargo bench --bench one_pass -- [THREADS]        rates uniform in 0..2, batch 128 x 512, windows of 12 and 64 atoms, float32

use gengs::prelude::*;
use gengs::relaxation::one_pass::{NoiseKey, OnePass};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Seconds of the fastest of several runs.
fn seconds(mut run: impl FnMut()) -> f64 {
    run();
    (0..7).fold(f64::INFINITY, |best, _| {
        let start = Instant::now();
        run();
        best.min(start.elapsed().as_secs_f64())
    })
}

fn main() -> gengs::Result<()> {
    let threads = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(1);
    tch::set_num_threads(threads);
    tch::manual_seed(0);
    let rate = (Tensor::rand([128, 512], (Kind::Float, Device::Cpu)) * 2.0 + 1e-3).set_requires_grad(true);
    let millions = 128.0 * 512.0 / 1e6;
    println!("threads {threads}");
    for atoms in [12, 64] {
        let window = Truncation::right(atoms).any_mass();
        let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(1.0f32))?, &window)?;
        let backward = |of: Tensor| drop(Tensor::run_backward(&[of.sum(Kind::Float)], &[&rate], false, false));
        let law = || Poisson::new_unchecked(&rate).expect("rates are floats");
        let plain = OnePass::new(0, atoms - 1, 0.5)?;
        let with_kl = plain.kl_to(&prior)?;
        let one_pass = |sampler: &OnePass<'_>| {
            let draw =
                sampler.rsample(&law(), NoiseKey::new(0, 1)).expect("the sampler runs").expect("a Poisson walks");
            backward(draw.kl.map_or(draw.z.shallow_clone(), |kl| draw.z + kl));
        };
        let graph = |kl: bool| {
            let q = TruncatedDistribution::new(&law(), &window).expect("the window holds");
            let z = Relaxation::new(&q, 0.5).and_then(|relaxation| relaxation.rsample(&[])).expect("the sampler runs");
            backward(if kl { z + q.kl(&prior).expect("the same atoms") } else { z });
        };
        for (what, one_pass, graph) in [
            ("sample", seconds(|| one_pass(&plain)), seconds(|| graph(false))),
            ("sample and KL", seconds(|| one_pass(&with_kl)), seconds(|| graph(true))),
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
