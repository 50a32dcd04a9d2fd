//! A distribution that the library does not know: write its log-pmf, and everything else follows.
//!
//! The Borel distribution counts the individuals of a family tree in which each has Poisson(mu) children:
//! `P(X = k) = exp(-mu k) (mu k)^(k - 1) / k!` for `k = 1, 2, ...`; its mean is `1 / (1 - mu)`.
//!
//! Here a tree's mu is learned from how large trees are, by the gradient of a relaxed sample.
//!
//! cargo run --release --example custom_distribution

use gengs::nn::Adam;
use gengs::prelude::*;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, Tensor};

fn borel(mu: &Tensor) -> gengs::Result<Custom> {
    Custom::builder("Borel", Support::from(1)).parameter("mu", mu).build(|parameters, k| {
        let expected: Tensor = &parameters[0] * k;
        (k - 1.0) * expected.log() - expected - (k + 1.0).lgamma()
    })
}

fn main() -> gengs::Result<()> {
    // Closed forms that were never given: the mean, and a tail's bound.
    let law = borel(&Tensor::from_slice(&[0.2, 0.6]))?;
    let q = TruncatedDistribution::new(&law, &Truncation::tail_mass(1e-6))?;
    println!("means       {:?}, exactly [1.25, 2.5]", Vec::<f64>::try_from(law.mean())?);
    println!("atoms       1 to {}", q.len());
    println!("lost        {:?} of the mean", Vec::<f64>::try_from(q.truncation_error()?.mean)?);

    // Trees of 3 on average come from mu = 2/3.
    tch::manual_seed(0);
    let store = VarStore::new(Device::Cpu);
    let logit = store.root().var("logit", &[], Init::Const(-1.0));
    let mut adam = Adam::new(&store, 0.03)?;
    for step in 0..=300 {
        let mu = logit.sigmoid();
        let law = borel(&mu)?;
        let window = Truncation::tail_mass(1e-3).merge_at_mean();
        let q = TruncatedDistribution::new(&law, &window)?;
        let z = Relaxation::new(&q, 0.1)?.rsample(&[256])?;
        let loss = (z.mean(Kind::Double) - 3.0).square();
        if step % 100 == 0 {
            println!("step {step:4}   mu {:.3}", mu.double_value(&[]));
        }
        adam.zero_grad();
        loss.backward();
        adam.step()?;
    }
    Ok(())
}
