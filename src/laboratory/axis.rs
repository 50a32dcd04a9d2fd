//! Axes of charts: the position of a value, from 0 to 1, and round ticks.

/// The number of decades from which a logarithmic axis has ticks at powers of ten only, and not also at 2 and 5 times
/// these.
const MANY_DECADES: f64 = 2.5;

/// The most ticks on an axis: more would overlap in charts of this size.
const MOST_TICKS: f64 = 7.0;

/// The margin beyond the outermost values, as a share of the axis.
const MARGIN: f64 = 0.04;

/// The exponents of ten for which numbers are written without an exponent.
const WRITTEN_OUT: std::ops::RangeInclusive<i32> = -3..=4;

/// A range of values that is mapped to positions from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    /// The smallest value; for a logarithmic axis, its common logarithm. `high` is the largest.
    low: f64,
    high: f64,
    scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    /// Linear, of whole numbers.
    Whole,
    Logarithmic,
}

/// A tick of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// The position, from 0 to 1.
    pub at: f64,
    /// The text at the tick.
    pub label: String,
}

impl Axis {
    /// Makes an axis from the smallest to the largest of the finite values.
    pub fn linear(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values.filter(|value| value.is_finite())).unwrap_or((0.0, 1.0));
        let widened = if low < high { 0.0 } else { 0.5_f64.max(low.abs() / 10.0) };
        Self { low: low - widened, high: high + widened, scale: Scale::Linear }
    }

    /// Makes an axis from the smallest to the largest step.
    pub fn steps(steps: &[usize]) -> Self {
        Self { scale: Scale::Whole, ..Self::linear(steps.iter().map(|step| *step as f64)) }
    }

    /// Makes a logarithmic axis from the smallest to the largest of the positive finite values, with a margin.
    pub fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let logarithms = values.filter(|value| value.is_finite() && *value > 0.0).map(f64::log10);
        let (low, high) = ends(logarithms).unwrap_or((0.0, 1.0));
        let widened = if low < high { 0.0 } else { 0.5 };
        Self { low: low - widened, high: high + widened, scale: Scale::Logarithmic }.with_margin()
    }

    /// Adds a margin at both ends.
    pub fn with_margin(self) -> Self {
        let margin = MARGIN * (self.high - self.low);
        Self { low: self.low - margin, high: self.high + margin, ..self }
    }

    /// Returns the position of a value, which may be below 0 or above 1; `None` if the axis has no position for it.
    pub fn at(&self, value: f64) -> Option<f64> {
        let value = if self.scale == Scale::Logarithmic { value.log10() } else { value };
        Some((value - self.low) / (self.high - self.low)).filter(|at| at.is_finite())
    }

    /// Returns ticks at round values.
    pub fn ticks(&self) -> Vec<Tick> {
        let step = round_step(self.high - self.low);
        match self.scale {
            Scale::Linear => self.linear_ticks(step),
            Scale::Whole => self.linear_ticks(step.max(1.0)),
            Scale::Logarithmic => self.logarithmic_ticks(),
        }
    }

    fn linear_ticks(&self, step: f64) -> Vec<Tick> {
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        multiples(step, self.low, self.high)
            .filter_map(|value| {
                let label = if value.abs() < 1e6 { format!("{value:.decimals$}") } else { number(value) };
                Some(Tick { at: self.at(value)?, label })
            })
            .collect()
    }

    fn logarithmic_ticks(&self) -> Vec<Tick> {
        let decades = self.high - self.low;
        let mantissas: &[f64] = if decades < MANY_DECADES { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let stride = (decades / MOST_TICKS).ceil().max(1.0);
        let inside = |exponent: f64, mantissa: f64| (self.low..=self.high).contains(&(exponent + mantissa.log10()));
        let marks: Vec<(f64, i32)> = multiples(stride, self.low - stride, self.high)
            .flat_map(|exponent| mantissas.iter().map(move |&mantissa| (exponent, mantissa)))
            .filter(|&(exponent, mantissa)| inside(exponent, mantissa))
            .map(|(exponent, mantissa)| (mantissa, exponent as i32))
            .collect();
        if marks.len() < 2 {
            // An axis this short is nearly linear.
            let (low, high) = (10_f64.powf(self.low), 10_f64.powf(self.high));
            let ticks = multiples(round_step(high - low), low, high);
            return ticks.filter_map(|value| Some(Tick { at: self.at(value)?, label: number(value) })).collect();
        }
        let written_out = marks.iter().all(|(_, exponent)| WRITTEN_OUT.contains(exponent));
        marks
            .into_iter()
            .filter_map(|(mantissa, exponent)| {
                let value = mantissa * 10_f64.powi(exponent);
                let label = match (written_out, mantissa == 1.0) {
                    (true, _) => format!("{value:.*}", usize::try_from(-exponent).unwrap_or(0)),
                    (false, true) => format!("10{}", superscript(exponent)),
                    (false, false) => format!("{mantissa}·10{}", superscript(exponent)),
                };
                Some(Tick { at: self.at(value)?, label })
            })
            .collect()
    }
}

/// Formats a number to three digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    if WRITTEN_OUT.contains(&exponent) {
        return format!("{value:.*}", usize::try_from(2 - exponent).unwrap_or(0));
    }
    // Uses the formatter: dividing by a power of ten could overflow.
    let scientific = format!("{value:.2e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}·10{}", superscript(exponent.parse().unwrap_or(0))),
        None => scientific,
    }
}

/// Formats an exponent as superscript digits.
fn superscript(exponent: i32) -> String {
    let raised = |digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    exponent.to_string().chars().map(raised).collect()
}

/// Returns the smallest and the largest value; `None` if there are none.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// Returns the smallest of 1, 2 or 5 times a power of ten that divides a span into at most [`MOST_TICKS`] steps.
fn round_step(span: f64) -> f64 {
    let power = 10_f64.powf((span / MOST_TICKS).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|mantissa| mantissa * power)
        .into_iter()
        .find(|step| span / step <= MOST_TICKS)
        .unwrap_or(10.0 * power)
}

/// Returns the multiples of a step within a range; none if the step is not positive or far too small.
fn multiples(step: f64, low: f64, high: f64) -> impl Iterator<Item = f64> {
    // The tolerance keeps a multiple at an end that rounding has moved outside.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = if last - first < 10.0 * MOST_TICKS && last >= first { (last - first) as u32 + 1 } else { 0 };
    (0..count).map(move |index| (first + f64::from(index)) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn a_linear_axis_is_marked_at_round_values() {
        let axis = Axis::linear([0.0, 2000.0].into_iter());
        assert_eq!(labels(axis), ["0", "500", "1000", "1500", "2000"]);
        let at: Vec<f64> = axis.ticks().into_iter().map(|tick| tick.at).collect();
        assert_eq!(at, [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(labels(Axis::steps(&[0, 3])), ["0", "1", "2", "3"]);
        assert_eq!(labels(Axis::steps(&[7])), ["7"]);
        assert_eq!(
            labels(Axis::linear([-0.1, 0.2].into_iter())),
            ["-0.10", "-0.05", "0.00", "0.05", "0.10", "0.15", "0.20"]
        );
    }

    #[test]
    fn a_logarithmic_axis_of_many_decades_is_marked_at_powers_of_ten() {
        let axis = Axis::logarithmic([1e-6, 1.0, 1e2].into_iter());
        assert_eq!(labels(axis), ["10⁻⁶", "10⁻⁴", "10⁻²", "10⁰", "10²"]);
        // Eight decades and a margin of 0.32 at both ends.
        let ticks = axis.ticks();
        assert!((ticks[0].at - 0.32 / 8.64).abs() < 1e-12, "{ticks:?}");
        assert!((ticks[3].at - 6.32 / 8.64).abs() < 1e-12, "{ticks:?}");
        assert_eq!(labels(Axis::logarithmic([0.01, 100.0].into_iter())), ["0.01", "0.1", "1", "10", "100"]);
    }

    #[test]
    fn a_logarithmic_axis_of_few_decades_is_marked_at_twos_and_fives_too() {
        assert_eq!(labels(Axis::logarithmic([0.09, 6.0].into_iter())), ["0.1", "0.2", "0.5", "1", "2", "5"]);
        assert_eq!(labels(Axis::logarithmic([9e-7, 6e-6].into_iter())), ["10⁻⁶", "2·10⁻⁶", "5·10⁻⁶"]);
        assert_eq!(
            labels(Axis::logarithmic([0.31, 0.34].into_iter())),
            ["0.310", "0.315", "0.320", "0.325", "0.330", "0.335", "0.340"]
        );
    }

    #[test]
    fn values_without_a_place_have_none() {
        let axis = Axis::logarithmic([1.0, 10.0].into_iter());
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(axis.at(value), None, "{value}");
        }
        assert!((axis.at(10_f64.sqrt()).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn no_values_at_all_break_an_axis() {
        let cases: [&[f64]; 8] = [
            &[],
            &[0.0],
            &[-3.0, -3.0],
            &[f64::NAN],
            &[1e17],
            &[f64::MIN, f64::MAX],
            &[5e-324, 1e308],
            &[1.0, 1.0 + f64::EPSILON],
        ];
        for values in cases {
            for axis in [Axis::linear(values.iter().copied()), Axis::logarithmic(values.iter().copied())] {
                let ticks = axis.ticks();
                assert!(ticks.len() < 20 && ticks.iter().all(|tick| tick.at.is_finite()), "{values:?}: {ticks:?}");
            }
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let written = [0.0, 1.0, 0.012345, 1234.5, -2.5, 1.234e-7, 6.022e23, 5e-324].map(number);
        assert_eq!(written, ["0", "1.00", "0.0123", "1234", "-2.50", "1.23·10⁻⁷", "6.02·10²³", "4.94·10⁻³²⁴"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(number), ["NaN", "inf"]);
    }
}
