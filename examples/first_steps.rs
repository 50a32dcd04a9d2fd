// The gradient of an expectation over Poisson counts, beside the exact one: the first code of the README.
//
// cargo run --release --example first_steps

use gengs::prelude::*;
use tch::{Kind, Tensor};

fn main() -> gengs::Result<()> {
    tch::manual_seed(0);
    let rate = Tensor::from_slice(&[0.5f32, 2.0, 6.0]).set_requires_grad(true); // three laws
    let window = Truncation::right(20); // the atoms 0..=19, the tail on the last one
    let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &window)?;
    let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(2f32))?, &window)?;
    let z = Relaxation::new(&q, 0.1)?.rsample(&[10_000])?; // [10000, 3], carries a gradient
    let loss = (z - 4.0).square().mean_dim(0, false, Kind::Float) + q.kl(&prior)?;
    loss.sum(Kind::Float).backward();

    let exact: Tensor = 2.0 * (&rate - 4.0) + 1.0 + (&rate / 2.0).log(); // by hand: d/drate of E(z - 4)^2 + KL
    println!("relaxed {:.2?}", Vec::<f32>::try_from(rate.grad())?);
    println!("exact   {:.2?}", Vec::<f32>::try_from(exact.detach())?);
    Ok(())
}
