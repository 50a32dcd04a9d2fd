//! The numbers of the steps since a session last looked, on their device.

use crate::error::Result;
use tch::{Device, Kind, Tensor};

/// Sums of steps whose numbers are finite, and how many others there were.
pub(super) struct RunningSums(Tensor);

/// The same, off the device.
pub(super) struct Numbers {
    pub sums: [f64; 2],
    pub uncounted_examples: i64,
    pub uncounted_steps: usize,
}

impl RunningSums {
    pub fn new(device: Device) -> Self {
        Self(Tensor::zeros([4], (Kind::Double, device)))
    }

    /// Adds a step of so many examples; waits for nothing.
    pub fn add(&mut self, sums: &Tensor, examples: i64) {
        let finite = sums.isfinite().all();
        let counted = sums.where_self(&finite, &sums.zeros_like());
        let uncounted = finite.logical_not().to_kind(Kind::Double);
        self.0 += Tensor::cat(&[counted, (&uncounted * examples).view([1]), uncounted.view([1])], 0);
    }

    /// Takes them off the device.
    pub fn take(&mut self) -> Result<Numbers> {
        let numbers = Vec::<f64>::try_from(&self.0)?;
        let _ = self.0.zero_();
        let [first, second, examples, steps] = numbers[..] else {
            return Ok(Numbers { sums: [0.0; 2], uncounted_examples: 0, uncounted_steps: 0 });
        };
        Ok(Numbers { sums: [first, second], uncounted_examples: examples as i64, uncounted_steps: steps as usize })
    }
}
