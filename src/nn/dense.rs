//! A parameter, its moving averages and its gradient as plain numbers, in parts that threads can share.

use super::adam::{BETA1, BETA2, EPS};
use tch::{Device, Kind, Tensor};

/// Numbers that a thread updates at a time: a megabyte of the four tensors.
pub(super) const A_PART: usize = 1 << 16;

/// The same numbers of a parameter, its averages and its gradient.
pub(super) struct Part<'a> {
    pub parameter: &'a mut [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
    pub gradient: &'a [f32],
}

impl<'a> Part<'a> {
    /// Whether all four tensors are dense float32 on the CPU, and of one size.
    pub fn fits(tensors: [&Tensor; 4]) -> bool {
        let count = tensors[0].numel();
        let fits = |t: &Tensor| {
            t.device() == Device::Cpu && t.kind() == Kind::Float && t.is_contiguous() && t.numel() == count && count > 0
        };
        tensors.into_iter().all(fits)
    }

    /// All numbers of parameter, averages and gradient, which must [fit](Self::fits); nothing if they do not.
    pub fn split(moved: [&'a mut Tensor; 3], gradient: &'a Tensor) -> impl Iterator<Item = Self> {
        let fits = Self::fits([moved[0], moved[1], moved[2], gradient]);
        let count = if fits { gradient.numel() } else { 0 };
        let [p, m, v] = moved.map(|tensor| match count {
            0 => &mut [][..],
            // SAFETY: the tensor is dense and holds `count` floats on the CPU, and the borrow keeps it alive. Parameter, averages and gradient have
            // storages of their own, so that no two slices overlap, and the update has exclusive use of them: backward passes have ended, and libtorch
            // keeps no thread that writes to them.
            _ => unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), count) },
        });
        let g = match count {
            0 => &[][..],
            // SAFETY: as above, for a tensor that is read.
            _ => unsafe { std::slice::from_raw_parts(gradient.data_ptr().cast::<f32>(), count) },
        };
        let parts = p.chunks_mut(A_PART).zip(m.chunks_mut(A_PART)).zip(v.chunks_mut(A_PART)).zip(g.chunks(A_PART));
        parts.map(|(((parameter, exp_avg), exp_avg_sq), gradient)| Part { parameter, exp_avg, exp_avg_sq, gradient })
    }

    /// One update of Adam, in a single pass over memory.
    pub fn update(self, learning_rate: f32, correction: f32) {
        let Part { parameter, exp_avg, exp_avg_sq, gradient } = self;
        let (keep1, take1, keep2, take2) = (BETA1 as f32, (1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        // Roots and quotients take longer than memory does, unless the machine's widest vectors compute them.
        pulp::Arch::new().dispatch(|| {
            for (((p, m), v), &g) in parameter.iter_mut().zip(exp_avg).zip(exp_avg_sq).zip(gradient) {
                *m = keep1 * *m + take1 * g;
                *v = keep2 * *v + take2 * g * g;
                *p -= learning_rate * *m / (v.sqrt() * correction + EPS as f32);
            }
        });
    }
}
