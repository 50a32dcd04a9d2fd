//! The rate of a Poisson, learned through its samples: `cargo run --release --example poisson`.

use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

fn main() -> anyhow::Result<()> {
    tch::manual_seed(0);
    let mut log_rate = Tensor::zeros([], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    for step in 0..=300 {
        let q = TruncatedDistribution::new(&Poisson::new(&log_rate.exp())?, &Truncation::tail_mass(1e-6))?;
        let z = Relaxation::new(&q, 0.2)?.rsample(&[1000])?;
        let loss = (z - 6.0).square().mean(Kind::Float);
        let gradient = Tensor::run_backward(&[&loss], &[&log_rate], false, false).remove(0);
        tch::no_grad(|| log_rate -= gradient * 0.01);
        if step % 100 == 0 {
            let exact = q.expectation(|z| (z - 6.0).square())?;
            println!(
                "step {step}: rate {:.2}, E (z - 6)^2 = {:.2}",
                log_rate.exp().double_value(&[]),
                exact.double_value(&[])
            );
        }
    }
    Ok(())
}
