//! Batch normalisation (Ioffe, Szegedy, arXiv 1502.03167) as in `torch.nn.BatchNorm1d`, with sums that do not depend on
//! the number of threads.
//!
//! Libtorch's batch normalisation on the CPU sums a part of the batch per thread and adds these sums: the bits of a
//! training run would depend on the number of threads.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad, no_grad_guard};

/// Added to variances, as in PyTorch.
const EPS: f64 = 1e-5;

/// The weight of a new batch in the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// A layer that normalises each feature by its mean and variance: in the batch while training, otherwise their running
/// averages.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    /// Makes a layer for the given number of features, with PyTorch's names under `path`; `weight` starts as `gain`.
    pub fn new(path: &Path, features: i64, gain: f64) -> Self {
        Self {
            weight: path.var("weight", &[features], Init::Const(gain)),
            bias: path.var("bias", &[features], Init::Const(0.0)),
            running_mean: path.zeros_no_train("running_mean", &[features]),
            running_var: path.ones_no_train("running_var", &[features]),
        }
    }

    /// Normalises `[B, features]` by the batch's own statistics and updates the running ones. A batch of one has no
    /// variance and is normalised as in [`infer`](Self::infer). The result has the same shape.
    pub fn train(&self, x: &Tensor) -> Tensor {
        let count = x.size()[0];
        if count < 2 {
            return self.infer(x);
        }
        let over_batch = |x: &Tensor| x.mean_dim(0, false, None::<Kind>);
        let mean = over_batch(x);
        let centred = x - &mean;
        let variance = over_batch(&centred.square());
        {
            let _guard = no_grad_guard();
            let unbiased = &variance * (count as f64 / (count - 1) as f64);
            for (running, new) in [(&self.running_mean, &mean), (&self.running_var, &unbiased)] {
                let _ = running.shallow_clone().lerp_(new, MOMENTUM);
            }
        }
        centred * ((variance + EPS).rsqrt() * &self.weight) + &self.bias
    }

    /// Normalises `[B, features]` by the running statistics.
    pub fn infer(&self, x: &Tensor) -> Tensor {
        let scale = no_grad(|| (&self.running_var + EPS).rsqrt());
        (x - &self.running_mean) * (scale * &self.weight) + &self.bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;
    use tch::nn::VarStore;

    /// Values, gradients and running statistics against libtorch's.
    #[test]
    fn it_is_libtorchs() {
        let _generator = crate::random::seeded(0);
        let store = VarStore::new(Device::Cpu);
        let norm = BatchNorm::new(&store.root(), 7, 1.5);
        let float = (Kind::Float, Device::Cpu);
        let (mean, variance) = (Tensor::zeros([7], float), Tensor::ones([7], float));
        let [weight, bias] =
            [Tensor::full([7], 1.5, float), Tensor::zeros([7], float)].map(|t| t.set_requires_grad(true));
        let close =
            |one: &Tensor, other: &Tensor| assert!((one - other).abs().max().double_value(&[]) < 2e-5, "{one} {other}");
        for size in [50, 3, 1] {
            let x = Tensor::randn([size, 7], float) * 2.0 + 3.0;
            let [own, other] = [0, 1].map(|_| x.copy().set_requires_grad(true));
            let train = size > 1;
            let found = norm.train(&own);
            let expected = Tensor::batch_norm(
                &other,
                Some(&weight),
                Some(&bias),
                Some(&mean),
                Some(&variance),
                train,
                MOMENTUM,
                EPS,
                false,
            );
            close(&found, &expected);
            (found.sin().sum(Kind::Float)).backward();
            (expected.sin().sum(Kind::Float)).backward();
            close(&own.grad(), &other.grad());
            close(&norm.weight.grad(), &weight.grad());
            close(&norm.bias.grad(), &bias.grad());
            close(&norm.running_mean, &mean);
            close(&norm.running_var, &variance);
        }
        let x = Tensor::randn([4, 7], float);
        let expected =
            x.batch_norm(Some(&weight), Some(&bias), Some(&mean), Some(&variance), false, MOMENTUM, EPS, false);
        close(&norm.infer(&x), &expected);
    }
}
