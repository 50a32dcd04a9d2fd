//! Exact draws with a gradient of finite order of families that need no window: Poisson, binomial, negative binomial,
//! and their special cases.
//!
//! With the mean `m`, the variance `V(m)` and its derivatives `V'` and `V''`, the weight of the slope in the mean is,
//! with `d = z - m` and `P_2 = d^2 - V' d - V`,
//!
//! ```text
//! w = 1 + d V' / (2 V) + P_2 (2 V V'' - V'^2) / (6 V^2 (V'' + 2))
//! ```
//!
//! of which the first order has the first term, the second the first two. The negative binomial has a second parameter,
//! whose derivative at the same mean goes by the same polynomials.

use super::batch::zeros;
use super::blocks::attach;
use crate::distributions::{CountFamily, CountMoments, Distribution, Parameter};
use crate::error::{Error, Result};
use crate::math::lanes::{LANES, Real, each};
use crate::platform::device::is_host;
use crate::platform::threads;
use crate::random::NoiseKey;
use crate::random::counts::{Uniforms, binomial, negative_binomial, poisson};
use crate::relaxation::{LEAST_VARIANCE, Order};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Latents that one task of the thread pool draws.
const A_TASK: usize = 1024;

/// Latents of a batch below which the calling thread draws alone.
const WORTH_THREADS: usize = 2048;

/// Mean and family of a law that can be drawn from without a window.
///
/// # Errors
/// For other laws.
pub(super) fn moments_of(law: &dyn Distribution) -> Result<CountMoments> {
    law.count_moments().ok_or_else(|| {
        let allowed = "a Poisson, Bernoulli, binomial, geometric or negative binomial: others need a window";
        Error::parameter("law of draws without a window", law.name(), allowed)
    })
}

/// Numbers of one latent: the mean, and the trials, the failures' mean or the second parameter.
#[derive(Debug, Clone, Copy)]
enum Count {
    Poisson { mean: f64 },
    Binomial { mean: f64, trials: f64, failures: f64 },
    NegativeBinomial { mean: f64, shape: f64 },
}

impl Count {
    fn draw(self, uniforms: &mut Uniforms<'_>) -> f64 {
        match self {
            Count::Poisson { mean } => poisson(mean, uniforms),
            Count::Binomial { mean, trials, failures } => binomial(trials, mean, failures, uniforms),
            Count::NegativeBinomial { mean, shape } => negative_binomial(shape, mean, uniforms),
        }
    }

    /// The weights of the slope at a sample: in the mean, and in the second parameter of a negative binomial at the
    /// same mean.
    fn slopes(self, order: Order, z: f64) -> [f64; 2] {
        let (mean, variance, first, second) = match self {
            Count::Poisson { mean } => (mean, mean, 1.0, 0.0),
            Count::Binomial { mean, trials, failures } => {
                (mean, mean * failures / trials, (failures - mean) / trials, -2.0 / trials)
            }
            Count::NegativeBinomial { mean, shape } => {
                (mean, mean * (1.0 + mean / shape), 1.0 + 2.0 * mean / shape, 2.0 / shape)
            }
        };
        let mut slopes = [1.0, 0.0];
        if order == Order::First || variance <= LEAST_VARIANCE {
            return slopes;
        }
        let distance = z - mean;
        // Derivatives of the second and the third central moment in the second parameter.
        let of_shape = match self {
            Count::NegativeBinomial { mean, shape } => {
                let ratio = mean / shape;
                [-ratio * ratio, -ratio * ratio * (3.0 + 4.0 * ratio)]
            }
            Count::Poisson { .. } | Count::Binomial { .. } => [0.0; 2],
        };
        slopes[0] += distance * first / (2.0 * variance);
        slopes[1] += distance * of_shape[0] / (2.0 * variance);
        // Two atoms have no third polynomial.
        if order == Order::Third && second + 2.0 > 1e-9 {
            let polynomial = (distance * distance - first * distance - variance) / variance / (second + 2.0);
            slopes[0] += polynomial * (2.0 * second - first * first / variance) / 6.0;
            slopes[1] += polynomial * (of_shape[1] / 3.0 - first * of_shape[0] / 2.0) / variance;
        }
        slopes
    }
}

/// Draws of the batch shape with a gradient, of a law with these moments, in this kind.
pub(super) fn draw(moments: &CountMoments, shape: &[i64], kind: Kind, order: Order, key: NoiseKey) -> Result<Tensor> {
    match kind {
        Kind::Double => draw_in::<f64>(moments, shape, order, key),
        _ => draw_in::<f32>(moments, shape, order, key),
    }
}

fn draw_in<T: Real>(moments: &CountMoments, shape: &[i64], order: Order, key: NoiseKey) -> Result<Tensor> {
    let numbers = |tensor: &Tensor| -> Result<Vec<f64>> {
        let _guard = no_grad_guard();
        let host = tensor.detach().f_expand(shape, false)?.to_device(Device::Cpu).to_kind(Kind::Double);
        Ok(Vec::try_from(host.contiguous().reshape([-1]))?)
    };
    let means = numbers(&moments.mean)?;
    let others = match &moments.family {
        CountFamily::Poisson => Vec::new(),
        CountFamily::Binomial { failures, .. } => numbers(failures)?,
        CountFamily::NegativeBinomial { total_count } => numbers(total_count)?,
    };
    let trials = match &moments.family {
        CountFamily::Binomial { total_count, .. } => Some(*total_count as f64),
        CountFamily::Poisson | CountFamily::NegativeBinomial { .. } => None,
    };
    let law = |latent: usize| match (means[latent], others.get(latent), trials) {
        (mean, Some(&failures), Some(trials)) => Count::Binomial { mean, trials, failures },
        (mean, Some(&shape), None) => Count::NegativeBinomial { mean, shape },
        (mean, None, _) => Count::Poisson { mean },
    };
    let mut columns = zeros::<T>(&[means.len(); 3])?;
    let latents = shape.last().copied().unwrap_or(1).max(1) as usize;
    let tasks = super::batch::split::<T>(&mut columns, &[A_TASK; 3]);
    let run = |number: usize, mut columns: Vec<&mut [T]>| {
        let first = number * A_TASK;
        for start in (0..columns[0].len()).step_by(LANES) {
            // The first two uniform numbers of sixteen latents come from one call.
            let place = |i: usize| first + start + i;
            let column = each(|i| (place(i) % latents) as u32);
            let row = each(|i| (place(i) / latents) as u32);
            let words = key.words(&[0; LANES], &column, &row);
            for i in 0..LANES.min(columns[0].len() - start) {
                let numbers = [f64::uniform(&words, 0, i), f64::uniform(&words, 1, i)];
                let law = law(place(i));
                let z = law.draw(&mut Uniforms::new(&key, column[i], row[i], numbers));
                let [of_mean, of_other] = law.slopes(order, z);
                for (column, value) in columns.iter_mut().zip([z, of_mean, of_other]) {
                    column[start + i] = T::from_f64(value);
                }
            }
        }
    };
    if means.len() < WORTH_THREADS {
        tasks.into_iter().enumerate().for_each(|(number, columns)| run(number, columns));
    } else {
        threads::run(tasks, run);
    }
    let device = moments.mean.device();
    let columns: Vec<Tensor> = columns
        .into_iter()
        .map(|column| column.reshape(shape))
        .map(|column| if is_host(device) { column } else { column.to_device(device) })
        .collect();
    let mut parameters = vec![(Parameter::scalar("mean", &moments.mean), columns[1].shallow_clone())];
    if let CountFamily::NegativeBinomial { total_count } = &moments.family {
        parameters.push((Parameter::scalar("total_count", total_count), columns[2].shallow_clone()));
    }
    attach(&columns[0], parameters.iter().map(|(parameter, slopes)| (parameter, slopes.shallow_clone())))
}

/// `KL(q || p)` of two laws of one family in closed form, with a graph in `q`; nothing where there is none: other
/// families, other numbers of trials, a second parameter that differs or has a gradient.
pub(super) fn closed_kl(q: &CountMoments, p: &CountMoments) -> Option<Tensor> {
    let (m, other) = (&q.mean, p.mean.detach());
    // `m log(m / other)`, zero where there is no mass.
    let part = |m: &Tensor, other: &Tensor| m.xlogy(&(m / other));
    match (&q.family, &p.family) {
        (CountFamily::Poisson, CountFamily::Poisson) => Some(part(m, &other) - m + &other),
        (
            CountFamily::Binomial { total_count, failures },
            CountFamily::Binomial { total_count: same, failures: other_failures },
        ) if total_count == same => Some(part(m, &other) + part(failures, &other_failures.detach())),
        (CountFamily::NegativeBinomial { total_count: r }, CountFamily::NegativeBinomial { total_count: same }) => {
            let is_same = r.detach().eq_tensor(same).all().int64_value(&[]) == 1;
            (is_same && !r.requires_grad()).then(|| {
                // log((r + other) / (r + m)), which keeps its digits where the two are close.
                let ratio = ((&other - m) / (r + m)).log1p();
                (r + m) * ratio + part(m, &other)
            })
        }
        _ => None,
    }
}
