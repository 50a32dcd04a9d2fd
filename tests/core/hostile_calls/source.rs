//! Where arguments come from: numbers, shapes and tensors, most of them sound.

use gengs::distributions::LARGEST_ATOM;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tch::{Device, Kind, Tensor};

pub const CPU: Device = Device::Cpu;

/// Where arguments come from.
pub struct Source(pub ChaCha8Rng);

impl Source {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())].clone()
    }

    /// One time in so many.
    pub fn rarely(&mut self, times: u32) -> bool {
        self.0.random_range(0..times) == 0
    }

    pub fn number(&mut self, usual: f64) -> f64 {
        if !self.rarely(12) {
            return usual * self.0.random_range(0.8..1.2);
        }
        self.pick(&[
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            -1.0,
            1e300,
            -1e300,
            1e-300,
            5e-324,
            1e30,
            0.5,
            1.0,
        ])
    }

    pub fn integer(&mut self, usual: i64) -> i64 {
        if !self.rarely(10) {
            return usual;
        }
        self.pick(&[i64::MIN, i64::MAX, -1, 0, 1, 1 << 31, 1 << 40, LARGEST_ATOM, -LARGEST_ATOM - 1, 17])
    }

    /// The same, but none for which there is room, and not the time.
    pub fn count(&mut self, usual: i64) -> i64 {
        let count = self.integer(usual);
        if count.abs_diff(0) >> 24 == 1 { 1 << 40 } else { count }
    }

    pub fn shape(&mut self, usual: &[i64]) -> Vec<i64> {
        if !self.rarely(8) {
            return usual.to_vec();
        }
        let dims = self.0.random_range(0..4);
        (0..dims).map(|_| self.pick(&[0, 1, 2, 3, 5])).collect()
    }

    /// A shape to draw in, which may be hopeless.
    pub fn sample_shape(&mut self) -> Vec<i64> {
        if self.rarely(10) {
            return self.pick(&[
                vec![-1],
                vec![1 << 40],
                vec![i64::MAX, 2],
                vec![1 << 20, 1 << 20],
                vec![i64::MIN],
                vec![3, -2],
            ]);
        }
        self.pick(&[vec![], vec![2], vec![0], vec![3, 1], vec![1]])
    }

    pub fn kind(&mut self) -> Kind {
        if self.rarely(8) {
            return self.pick(&[
                Kind::Int64,
                Kind::Int,
                Kind::Uint8,
                Kind::Bool,
                Kind::ComplexFloat,
                Kind::ComplexDouble,
            ]);
        }
        self.pick(&[Kind::Float, Kind::Float, Kind::Double, Kind::Double, Kind::Half, Kind::BFloat16])
    }

    /// A tensor about these values, of about this shape; seldom one that takes no memory and has 2^38 numbers.
    pub fn tensor(&mut self, usual: f64, shape: &[i64]) -> Tensor {
        if self.rarely(60) {
            return Tensor::full([1, 1], usual, (Kind::Float, CPU)).expand([1 << 19, 1 << 19], false);
        }
        let shape = self.shape(shape);
        let count = shape.iter().product::<i64>();
        let values: Vec<f64> = (0..count).map(|_| usual * self.0.random_range(0.8..1.2)).collect();
        let mut tensor = Tensor::from_slice(&values).reshape(&shape);
        if count > 0 && self.rarely(10) {
            let (place, broken) = (self.0.random_range(0..count), self.number(f64::NAN));
            let _ = tensor.reshape([-1]).get(place).fill_(broken);
        }
        tensor = tensor.to_kind(self.kind());
        // Other ways to lie in memory: turned round, every second number, one number for all.
        match self.0.random_range(0..8) {
            0 if tensor.dim() == 2 => tensor.tr().contiguous().tr(),
            1 => Tensor::stack(&[&tensor, &tensor], -1).select(-1, 1),
            2 if count > 0 => tensor.reshape([-1]).narrow(0, 0, 1).expand(1.max(count), false).reshape(&shape),
            3 if count > 0 && tensor.is_floating_point() => tensor.set_requires_grad(true),
            _ => tensor,
        }
    }
}
