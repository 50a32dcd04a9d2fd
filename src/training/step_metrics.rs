//! The metrics that a training step returns: their names, their sums over steps, and their means over an epoch.

use crate::error::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A metric that every step of a task returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepMetric {
    /// The name, in TensorBoard and in reports.
    pub name: &'static str,
    /// Whether the step returns the sum or the mean over its examples.
    pub reduction: Reduction,
}

/// The reduction of a metric over the examples of a step. In both cases, the metric of an epoch is the mean over its
/// examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The sum over the examples.
    Sum,
    /// The mean over the examples.
    Mean,
}

impl StepMetric {
    /// Makes a metric that a step returns as the sum over its examples.
    pub const fn sum(name: &'static str) -> Self {
        Self { name, reduction: Reduction::Sum }
    }

    /// Makes a metric that a step returns as the mean over its examples.
    pub const fn mean(name: &'static str) -> Self {
        Self { name, reduction: Reduction::Mean }
    }
}

/// Means of metrics over examples.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMeans {
    metrics: &'static [StepMetric],
    values: Vec<f64>,
}

impl StepMeans {
    /// Divides sums by the number of examples.
    pub(super) fn new(metrics: &'static [StepMetric], sums: &[f64], examples: f64) -> Self {
        Self { metrics, values: sums.iter().map(|sum| sum / examples).collect() }
    }

    /// Returns the mean of a metric by name; NaN if the task has no such metric.
    pub fn get(&self, name: &str) -> f64 {
        self.iter().find_map(|(found, value)| (found == name).then_some(value)).unwrap_or(f64::NAN)
    }

    /// Iterates over all metrics, in the task's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.metrics.iter().map(|metric| metric.name).zip(self.values.iter().copied())
    }
}

/// Converts the metrics of a step to sums over its examples: float64 `[metrics]`, on the same device.
pub(super) fn to_sums(metrics: &[StepMetric], found: &Tensor, examples: i64) -> Result<Tensor> {
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

/// Sums of the metrics since the session last read them, on the device. Steps whose metrics are not finite are left out
/// and counted.
pub(super) struct RunningSums(Tensor);

/// The sums and counts, read from the device.
pub(super) struct Numbers {
    pub sums: Vec<f64>,
    pub uncounted_examples: i64,
    pub uncounted_steps: usize,
}

impl RunningSums {
    pub fn new(metrics: &[StepMetric], device: Device) -> Self {
        Self(Tensor::zeros([metrics.len() as i64 + 2], (Kind::Double, device)))
    }

    /// Adds the metrics of a step with so many examples, without synchronising with the device.
    pub fn add(&mut self, sums: &Tensor, examples: i64) {
        let finite = sums.isfinite().all();
        let counted = sums.where_self(&finite, &sums.zeros_like());
        let uncounted = finite.logical_not().to_kind(Kind::Double);
        self.0 += Tensor::cat(&[counted, (&uncounted * examples).view([1]), uncounted.view([1])], 0);
    }

    /// Reads the sums from the device, and resets them.
    pub fn read(&mut self) -> Result<Numbers> {
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
        // Three examples with `a` of 1, 2, 3 and `b` of 4, 5, 6; then one with 10 and 20; then two that are not finite.
        for (numbers, examples) in [([6.0, 5.0], 3), ([10.0, 20.0], 1), ([f64::NAN, 0.0], 2)] {
            recent.add(&to_sums(METRICS, &Tensor::from_slice(&numbers), examples).unwrap(), examples);
        }
        let Numbers { sums, uncounted_examples, uncounted_steps } = recent.read().unwrap();
        assert_eq!((sums.as_slice(), uncounted_examples, uncounted_steps), ([16.0, 35.0].as_slice(), 2, 1));
        let means = StepMeans::new(METRICS, &sums, 4.0);
        assert_eq!(means.iter().collect::<Vec<_>>(), [("a", 4.0), ("b", 8.75)]);
        assert!(means.get("b") == 8.75 && means.get("c").is_nan());
        assert_eq!(recent.read().unwrap().sums, [0.0, 0.0]);
        let error = to_sums(METRICS, &Tensor::from_slice(&[1.0]), 3).unwrap_err().to_string();
        assert!(error.contains("[2], one for each metric"), "{error}");
    }
}
