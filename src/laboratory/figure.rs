//! The figure of one law: one column per group of estimators, with the loss above the gradient's variance. Lengths are
//! in pixels.

use super::axis::Axis;
use super::chart::{BELOW, Chart, HEIGHT, LEFT, LETTER, Line, WIDTH};
use super::curves::{Band, Curve, Panel};
use super::palette::{COLUMNS, dashes, marks, members, title};
use crate::estimators::{Approach, EstimatorKind};
use crate::markup::escape;

/// The space between a column's names and the next column's frame.
const GAP: f64 = 10.0;

/// The height of a line of the legend and of the notes.
const LINE: f64 = 17.0;

/// The height of a chart with its horizontal axis and the space under it.
const ROW: f64 = HEIGHT + BELOW + 14.0;

/// The least width, for the heading and the notes.
const LEAST_WIDTH: f64 = 480.0;

/// The length of a line in the legend: two periods of its dashes.
pub(super) const SWATCH: f64 = 48.0;

/// The factor by which bands and the reference may extend the range of the other estimators' medians, at both ends.
/// Longer ones are cut off, so that they do not flatten the other curves.
const REACH: f64 = 10.0;

/// The quantity that a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Loss,
    Variance,
}

impl Shown {
    fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss above the least",
            Self::Variance => "variance of one gradient estimate",
        }
    }

    fn of(self, curve: &Curve) -> &Band {
        match self {
            Self::Loss => &curve.excess_loss,
            Self::Variance => &curve.variance,
        }
    }

    /// Returns whether an estimator's curve is drawn: the exact gradient has no variance.
    fn is_shown(self, curve: &Curve) -> bool {
        self == Self::Loss || curve.estimator != EstimatorKind::Exact
    }

    /// Returns the vertical axis, which all columns share.
    fn axis(self, panel: &Panel) -> Axis {
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let medians = |exact: bool| {
            let curves = panel.curves.iter().filter(move |curve| (curve.estimator == EstimatorKind::Exact) == exact);
            curves
                .filter(|curve| self.is_shown(curve))
                .flat_map(|curve| &self.of(curve).median)
                .copied()
                .filter(positive)
        };
        let others: Vec<f64> =
            if medians(false).next().is_some() { medians(false).collect() } else { medians(true).collect() };
        let least = others.iter().copied().fold(f64::INFINITY, f64::min) / REACH;
        let largest = others.iter().copied().fold(0.0, f64::max) * REACH;
        let bands = panel.curves.iter().filter(|curve| self.is_shown(curve)).map(|curve| self.of(curve));
        let reaching = bands.flat_map(|band| band.low.iter().chain(&band.high)).copied().filter(positive);
        let reaching: Vec<f64> = reaching.map(|value| value.max(least).min(largest)).collect();
        Axis::logarithmic(others.into_iter().chain(reaching))
    }
}

/// A drawing with its size.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    width: f64,
    height: f64,
    content: String,
}

impl Figure {
    /// Draws the charts of a law, with its name above them if `headed`.
    pub fn of(panel: &Panel, headed: bool) -> Self {
        let columns = columns(panel);
        let rights: Vec<f64> =
            columns.iter().map(|(_, curves)| Chart::right(curves.iter().map(|curve| curve.estimator))).collect();
        let width = (LEFT + rights.iter().map(|right| WIDTH + right + GAP).sum::<f64>()).max(LEAST_WIDTH);
        let letters = ((width - 16.0) / LETTER) as usize;
        let (mut content, mut bottom) = (String::new(), 0.0);
        if headed {
            content += &format!("<text class=\"law\" x=\"8\" y=\"22\">{}</text>\n", escape(&panel.law));
            bottom = 24.0;
            content += &text("", &wrapped(&panel.task, letters), &mut bottom);
            bottom += 10.0;
        }

        let x = Axis::steps(&panel.steps);
        let rows = [Shown::Loss, Shown::Variance].map(|shown| (shown, shown.axis(panel)));
        let entries = columns.iter().map(|(_, curves)| curves.len().div_ceil(2)).max().unwrap_or(0);
        let title = bottom + 15.0;
        let first_row = title + LINE + entries as f64 * LINE + 4.0;
        let mut left = LEFT;
        for (index, ((name, curves), right)) in columns.iter().zip(rights).enumerate() {
            content += &format!("<text class=\"title\" x=\"{left:.1}\" y=\"{title:.1}\">{name}</text>\n");
            content += &legend(curves, left, title + LINE, (WIDTH + right) / 2.0);
            for (number, (shown, y)) in rows.iter().enumerate() {
                let lines =
                    curves.iter().filter(|curve| shown.is_shown(curve)).map(|curve| line(curve, shown.of(curve)));
                let y_name = (index == 0).then_some(shown.name());
                let chart = Chart { lines: lines.collect(), steps: &panel.steps, x, y: *y, y_name };
                content += &chart.draw(left, first_row + number as f64 * ROW);
            }
            left += WIDTH + right + GAP;
        }
        bottom = if columns.is_empty() { bottom } else { first_row + rows.len() as f64 * ROW };
        let notes: Vec<String> = notes(panel).iter().flat_map(|note| wrapped(note, letters)).collect();
        content += &text("note", &notes, &mut bottom);
        Self { width, height: bottom + 6.0, content }
    }

    /// Draws one learned quantity of the estimators of an approach.
    pub fn of_quantity(panel: &Panel, approach: Approach, name: &str) -> Self {
        let members = members(approach);
        let curves = members.iter().flat_map(|kind| panel.curves.iter().filter(move |curve| curve.estimator == *kind));
        let lines: Vec<Line<'_>> = curves
            .flat_map(|curve| {
                curve.quantities.iter().map(move |(quantity, values)| (curve.estimator, quantity, values))
            })
            .filter(|(_, quantity, _)| *quantity == name)
            .map(|(kind, _, values)| Line { kind, values, band: None })
            .collect();
        let right = Chart::right(lines.iter().map(|line| line.kind));
        let y = Axis::linear(lines.iter().flat_map(|line| line.values).copied()).with_margin();
        let x = Axis::steps(&panel.steps);
        let content = Chart { lines, steps: &panel.steps, x, y, y_name: Some(name) }.draw(LEFT, 10.0);
        Self { width: LEFT + WIDTH + right, height: 10.0 + HEIGHT + BELOW, content }
    }

    /// Renders the figure as an SVG element, with a name for screen readers, and with the elements `under` below the
    /// drawing.
    pub fn svg(&self, name: &str, under: &str) -> String {
        let Self { width, height, content } = self;
        let size = format!("viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\"");
        let label = format!("role=\"img\" aria-label=\"{}\"", escape(name));
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" {size} {label}>\n{under}{content}</svg>\n")
    }
}

/// Draws a short piece of an estimator's line, for legends.
pub(super) fn swatch(kind: EstimatorKind, x: f64, y: f64) -> String {
    format!("<g {}><path class=\"line\"{} d=\"M{x:.1} {y:.1}h{SWATCH}\"/></g>", marks(kind), dashes(kind))
}

/// Returns the curves of a panel by approach, with the reference first in each column; only the reference if there are
/// no others.
fn columns(panel: &Panel) -> Vec<(&'static str, Vec<&Curve>)> {
    let of = |kind: EstimatorKind| panel.curves.iter().filter(move |curve| curve.estimator == kind);
    let exact: Vec<&Curve> = of(EstimatorKind::Exact).collect();
    let columns: Vec<(&str, Vec<&Curve>)> = COLUMNS
        .into_iter()
        .map(|approach| (title(approach), members(approach).into_iter().flat_map(of).collect::<Vec<_>>()))
        .filter(|(_, curves)| !curves.is_empty())
        .map(|(title, curves)| (title, [exact.clone(), curves].concat()))
        .collect();
    if columns.is_empty() && !exact.is_empty() { vec![(title(Approach::Reference), exact)] } else { columns }
}

fn line<'a>(curve: &Curve, band: &'a Band) -> Line<'a> {
    Line { kind: curve.estimator, values: &band.median, band: Some((&band.low, &band.high)) }
}

/// Draws lines of text under each other, and moves `bottom` below them.
fn text(class: &str, lines: &[String], bottom: &mut f64) -> String {
    let lines = lines.iter().map(|line| {
        *bottom += LINE;
        format!("<text class=\"{class}\" x=\"8\" y=\"{:.1}\">{}</text>\n", *bottom - 2.0, escape(line))
    });
    lines.collect()
}

/// Draws the legend, two entries per line.
fn legend(curves: &[&Curve], left: f64, top: f64, width: f64) -> String {
    let entries = curves.iter().enumerate().map(|(index, curve)| {
        let (x, y) = (left + (index % 2) as f64 * width, top + (index / 2) as f64 * LINE);
        let kind = curve.estimator;
        let text = format!("<text class=\"legend\" x=\"{:.1}\" y=\"{y:.1}\">{kind}</text>", x + SWATCH + 5.0);
        format!("{}<g {}>{text}</g>\n", swatch(kind, x, y - 4.0), marks(kind))
    });
    entries.collect()
}

/// Returns the notes under the charts: the meaning of lines and areas, and what is not drawn.
fn notes(panel: &Panel) -> Vec<String> {
    if panel.curves.is_empty() {
        return vec!["No curves.".into()];
    }
    let mut notes = vec![
        "Line: median of the seeds; area: from the smallest to the largest. All columns have the same axes."
            .to_string(),
        "An arrow after a name tells that its line ends beyond the frame.".to_string(),
    ];
    notes.extend(panel.curves.iter().filter_map(Curve::ending));
    if panel.curves.iter().any(|curve| curve.estimator == EstimatorKind::Exact) {
        notes.push("Grey: the exact gradient, for reference; it does not vary, and has no variance to draw.".into());
    }
    let lacking = |lacks: fn(&f64) -> bool| {
        let of = |shown: Shown| {
            let curves = panel.curves.iter().filter(|curve| shown.is_shown(curve));
            let names: Vec<String> = curves
                .filter(|curve| shown.of(curve).median.iter().any(lacks))
                .map(|curve| curve.estimator.to_string())
                .collect();
            (!names.is_empty())
                .then(|| format!("{} of {}", if shown == Shown::Loss { "loss" } else { "variance" }, names.join(", ")))
        };
        let both: Vec<String> = [Shown::Loss, Shown::Variance].into_iter().filter_map(of).collect();
        (!both.is_empty()).then(|| both.join("; "))
    };
    if let Some(names) = lacking(|value| *value <= 0.0 && value.is_finite()) {
        notes
            .push(format!("Left out where zero or negative, since a logarithmic axis has no place for them: {names}."));
    }
    if let Some(names) = lacking(|value| !value.is_finite()) {
        notes.push(format!("A gap where infinite or not a number: {names}."));
    }
    notes
}

/// Breaks text between words into lines of at most the given number of letters.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(estimator: EstimatorKind, median: &[f64]) -> Curve {
        let band = Band { median: median.to_vec(), low: median.to_vec(), high: median.to_vec() };
        let (excess_loss, variance) = (band.clone(), band);
        Curve {
            estimator,
            excess_loss,
            variance,
            evaluations: 1,
            seconds_per_step: 0.001,
            quantities: Vec::new(),
            ended_at: None,
            ended_by: None,
        }
    }

    fn panel(curves: Vec<Curve>) -> Panel {
        Panel { law: "Poisson(20)".into(), task: "one rate".into(), steps: vec![0, 10], least_loss: 0.0, curves }
    }

    #[test]
    fn the_reference_stands_in_every_column_and_an_absent_group_has_none() {
        let panel = panel(vec![
            curve(EstimatorKind::Rebar, &[1.0, 0.1]),
            curve(EstimatorKind::Exact, &[1.0, 0.01]),
            curve(EstimatorKind::Go, &[1.0, 0.2]),
        ]);
        let names: Vec<(&str, Vec<EstimatorKind>)> = columns(&panel)
            .into_iter()
            .map(|(title, curves)| (title, curves.into_iter().map(|curve| curve.estimator).collect()))
            .collect();
        let expected = [
            ("control variates", vec![EstimatorKind::Exact, EstimatorKind::Rebar]),
            ("from atom to atom", vec![EstimatorKind::Exact, EstimatorKind::Go]),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_reference_widens_the_axis_by_a_decade_at_most() {
        let curves = |exact: f64| {
            panel(vec![curve(EstimatorKind::Exact, &[1.0, exact]), curve(EstimatorKind::Go, &[1.0, 0.01])])
        };
        let expected = Axis::logarithmic([0.001, 1.0].into_iter());
        assert_eq!(Shown::Loss.axis(&curves(0.001)), expected);
        let (cut_off, expected) = (Shown::Loss.axis(&curves(1e-15)).ticks(), expected.ticks());
        assert_eq!(cut_off.len(), expected.len());
        assert!(cut_off.iter().zip(&expected).all(|(one, other)| (one.at - other.at).abs() < 1e-9), "{cut_off:?}");
        assert_eq!(Shown::Variance.axis(&curves(1e-15)), Axis::logarithmic([0.01, 1.0].into_iter()));
    }

    #[test]
    fn the_notes_name_what_is_left_out() {
        let notes = notes(&panel(vec![
            curve(EstimatorKind::Exact, &[0.0, 1.0]),
            curve(EstimatorKind::Go, &[-1.0, f64::NAN]),
            curve(EstimatorKind::Nvil, &[1.0, 1.0]),
        ]));
        assert!(notes[3].ends_with("no place for them: loss of exact, go; variance of go."), "{notes:?}");
        assert!(notes[4].ends_with("not a number: loss of go; variance of go."), "{notes:?}");
        assert_eq!(notes.len(), 5);
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three longest", 7), ["one two", "three", "longest"]);
    }
}
