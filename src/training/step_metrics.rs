//! The numbers that a step returns: what they are called, how they become those of an epoch, and their sums on the way
//! there.

use crate::error::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A number that every step of a task returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepMetric {
    /// Its name, in TensorBoard and for whoever watches.
    pub name: &'static str,
    /// What the step returns of it.
    pub reduction: Reduction,
}

/// What a step returns of its examples' numbers; in both cases an epoch's number is the mean over its examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

impl StepMetric {
    /// A number that a step returns as the sum over its examples.
    pub const fn sum(name: &'static str) -> Self {
        Self { name, reduction: Reduction::Sum }
    }

    /// A number that a step returns as the mean over its examples.
    pub const fn mean(name: &'static str) -> Self {
        Self { name, reduction: Reduction::Mean }
    }
}

/// Means over examples, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMeans {
    metrics: &'static [StepMetric],
    values: Vec<f64>,
}

impl StepMeans {
    /// From sums over so many examples.
    pub(super) fn new(metrics: &'static [StepMetric], sums: &[f64], examples: f64) -> Self {
        Self { metrics, values: sums.iter().map(|sum| sum / examples).collect() }
    }

    /// The mean of this name; NaN where the task has none.
    pub fn get(&self, name: &str) -> f64 {
        self.iter().find_map(|(found, value)| (found == name).then_some(value)).unwrap_or(f64::NAN)
    }

    /// All of them, in the task's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.metrics.iter().map(|metric| metric.name).zip(self.values.iter().copied())
    }
}

/// A step's numbers as sums over its examples, float64 and of shape `[metrics]`, on their device.
pub(super) fn sums_of(metrics: &[StepMetric], found: &Tensor, examples: i64) -> Result<Tensor> {
    if found.numel() != metrics.len() {
        return Err(Error::Shape {
            what: "numbers that a training step returned".into(),
            found: found.size(),
            expected: format!("[{}], one for each metric of the task", metrics.len()),
        });
    }
    let found = found.detach().to_kind(Kind::Double).reshape([-1]);
    if metrics.iter().all(|metric| metric.reduction == Reduction::Sum) {
        return Ok(found);
    }
    let weight = |metric: &StepMetric| if metric.reduction == Reduction::Mean { examples as f64 } else { 1.0 };
    let weights: Vec<f64> = metrics.iter().map(weight).collect();
    let weights = Tensor::from_slice(&weights).to_device(found.device());
    Ok(found * weights)
}

/// The numbers of the steps since a session last looked, on their device: sums of steps whose numbers are finite, and
/// how many others there were.
pub(super) struct RunningSums(Tensor);

/// The same, off the device.
pub(super) struct Numbers {
    pub sums: Vec<f64>,
    pub uncounted_examples: i64,
    pub uncounted_steps: usize,
}

impl RunningSums {
    pub fn new(metrics: &[StepMetric], device: Device) -> Self {
        Self(Tensor::zeros([metrics.len() as i64 + 2], (Kind::Double, device)))
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
        let mut sums = Vec::<f64>::try_from(&self.0)?;
        let _ = self.0.zero_();
        let uncounted = sums.split_off(sums.len() - 2);
        Ok(Numbers { sums, uncounted_examples: uncounted[0] as i64, uncounted_steps: uncounted[1] as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_means_become_means_over_examples() {
        const METRICS: &[StepMetric] = &[StepMetric::sum("a"), StepMetric::mean("b")];
        let mut recent = RunningSums::new(METRICS, Device::Cpu);
        // Three examples whose `a` are 1, 2, 3 and whose `b` are 4, 5, 6; then one of 10 and 20; then two that are not
        // finite.
        for (numbers, examples) in [([6.0, 5.0], 3), ([10.0, 20.0], 1), ([f64::NAN, 0.0], 2)] {
            recent.add(&sums_of(METRICS, &Tensor::from_slice(&numbers), examples).unwrap(), examples);
        }
        let Numbers { sums, uncounted_examples, uncounted_steps } = recent.take().unwrap();
        assert_eq!((sums.as_slice(), uncounted_examples, uncounted_steps), ([16.0, 35.0].as_slice(), 2, 1));
        let means = StepMeans::new(METRICS, &sums, 4.0);
        assert_eq!(means.iter().collect::<Vec<_>>(), [("a", 4.0), ("b", 8.75)]);
        assert!(means.get("b") == 8.75 && means.get("c").is_nan());
        assert_eq!(recent.take().unwrap().sums, [0.0, 0.0]);
        let error = sums_of(METRICS, &Tensor::from_slice(&[1.0]), 3).unwrap_err().to_string();
        assert!(error.contains("[2], one for each metric"), "{error}");
    }
}
