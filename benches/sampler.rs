//! What truncating, sampling and the KL cost: 100 x 50 Poisson latents in windows of 12 and 64 atoms, forward and backward.

use criterion::{Criterion, criterion_group, criterion_main};
use gengs::prelude::*;
use std::hint::black_box;
use tch::{Device, Kind, Tensor};

fn sampler(c: &mut Criterion) {
    tch::set_num_threads(1);
    tch::manual_seed(0);
    for atoms in [12, 64] {
        let rate = (Tensor::rand([100, 50], (Kind::Float, Device::Cpu)) * 2.0 + 0.01).set_requires_grad(true);
        let truncation = Truncation::right(atoms).allow_low_mass();
        let truncate = || TruncatedDistribution::new(&unchecked(|| Poisson::new(&rate)).unwrap(), &truncation).unwrap();
        let backward = |loss: Tensor| black_box(Tensor::run_backward(&[loss], &[&rate], false, false));
        let prior = Tensor::from(2.0f32);
        let prior = TruncatedDistribution::new(&Poisson::new(&prior).unwrap(), &truncation).unwrap();

        let mut group = c.benchmark_group(format!("{atoms} atoms"));
        group.bench_function("truncate", |b| b.iter(|| black_box(truncate())));
        group.bench_function("truncate, backward", |b| b.iter(|| backward(truncate().log_weights().sum(Kind::Float))));
        group.bench_function("truncate, sample, backward", |b| {
            b.iter(|| backward(Relaxation::new(&truncate(), 0.5).unwrap().rsample(&[]).unwrap().sum(Kind::Float)))
        });
        group.bench_function("truncate, kl, backward", |b| {
            b.iter(|| backward(truncate().kl(&prior).unwrap().sum(Kind::Float)))
        });
        group.finish();
    }
}

criterion_group!(benches, sampler);
criterion_main!(benches);
