//! A chart: lines with bands in a frame, ticks around it, and the names of the lines at their ends. Lengths are in
//! pixels.

use super::axis::Axis;
use super::palette::{dashes, marks, radius};
use crate::estimators::EstimatorKind;
use crate::markup::escape;

/// The size of the frame.
pub(super) const WIDTH: f64 = 188.0;
pub(super) const HEIGHT: f64 = 200.0;

/// The space at the left of the frame, for the vertical axis.
pub(super) const LEFT: f64 = 70.0;

/// The space under the frame, for the horizontal axis.
pub(super) const BELOW: f64 = 40.0;

/// The space between the frame and the names, for the lines that connect them.
const LEADER: f64 = 16.0;

/// The space at the right of a name, for an arrow.
const ARROW: f64 = 10.0;

/// The least distance between the baselines of two names.
const APART: f64 = 13.0;

/// The assumed width of a letter: that of a wide one, since the reader's font is unknown.
pub(super) const LETTER: f64 = 6.4;

/// The curve of one estimator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub kind: EstimatorKind,
    pub values: &'a [f64],
    /// The smallest and the largest value at each step.
    pub band: Option<(&'a [f64], &'a [f64])>,
}

/// A chart of lines with the same steps.
#[derive(Debug, Clone)]
pub(super) struct Chart<'a> {
    pub lines: Vec<Line<'a>>,
    pub steps: &'a [usize],
    pub x: Axis,
    pub y: Axis,
    /// The name of the vertical axis; `None` if the chart shares the axis of the chart at its left.
    pub y_name: Option<&'a str>,
}

impl Chart<'_> {
    /// Returns the space that the names of estimators take at the right of the frame.
    pub fn right(kinds: impl Iterator<Item = EstimatorKind>) -> f64 {
        let longest = kinds.map(|kind| kind.to_string().chars().count()).max().unwrap_or(0);
        LEADER + LETTER * longest as f64 + ARROW
    }

    /// Draws the chart as SVG, with the upper left corner of the frame at (`left`, `top`).
    pub fn draw(&self, left: f64, top: f64) -> String {
        let bands: String = self.lines.iter().map(|line| self.band(line)).collect();
        let hairlines: String = self
            .lines
            .iter()
            .filter(|line| !dashes(line.kind).is_empty())
            .map(|line| self.median(line, "hairline"))
            .collect();
        let lines: String = self.lines.iter().map(|line| self.median(line, "line")).collect();
        let axes = self.horizontal_axis() + &self.vertical_axis();
        // A nested `svg` element clips the lines at the frame.
        let frame = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\">\n{bands}{hairlines}{lines}</svg>");
        let names = self.names();
        format!("<g transform=\"translate({left:.1} {top:.1})\">\n{axes}{frame}\n{names}</g>\n")
    }

    fn horizontal_axis(&self) -> String {
        let ticks = self.x.ticks().into_iter().map(|tick| {
            let (x, low, label) = (tick.at * WIDTH, HEIGHT + 17.0, tick.label);
            format!(
                "<path class=\"grid\" d=\"M{x:.1} 0V{HEIGHT}\"/><text x=\"{x:.1}\" y=\"{low}\" \
                text-anchor=\"middle\">{label}</text>\n"
            )
        });
        let name = format!(
            "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>\n",
            WIDTH / 2.0,
            HEIGHT + 33.0
        );
        ticks.chain([name]).collect()
    }

    fn vertical_axis(&self) -> String {
        let ticks = self.y.ticks().into_iter().map(|tick| {
            let y = HEIGHT - tick.at * HEIGHT;
            let grid = format!("<path class=\"grid\" d=\"M0 {y:.1}H{WIDTH}\"/>\n");
            if self.y_name.is_none() {
                return grid;
            }
            format!("{grid}<text x=\"-7\" y=\"{y:.1}\" dy=\"0.35em\" text-anchor=\"end\">{}</text>\n", tick.label)
        });
        let name = self.y_name.map(|name| {
            let (x, y) = (14.0 - LEFT, HEIGHT / 2.0);
            let name = escape(name);
            format!(
                "<text class=\"name\" transform=\"translate({x} {y}) rotate(-90)\" \
                text-anchor=\"middle\">{name}</text>\n"
            )
        });
        ticks.chain(name).collect()
    }

    /// Draws the area between the smallest and the largest values. Smallest values of zero or less, which have no
    /// position on a logarithmic axis, are drawn at the bottom.
    fn band(&self, line: &Line<'_>) -> String {
        let Some((low, high)) = line.band else { return String::new() };
        let sides = self.steps.iter().zip(low).zip(high).map(|((&step, &low), &high)| {
            let below = if low.is_finite() { self.point(step, low).map_or(HEIGHT, |(_, y)| y) } else { return None };
            self.point(step, high).map(|(x, above)| (x, above, below))
        });
        let polygons: String = runs(sides)
            .into_iter()
            .map(|run| {
                let above = run.iter().map(|(x, above, _)| (*x, *above));
                let below = run.iter().rev().map(|(x, _, below)| (*x, *below));
                format!("<path class=\"band\" d=\"{}Z\"/>", path(above.chain(below)))
            })
            .collect();
        group(line.kind, &polygons)
    }

    /// Draws the line of medians, with a gap at each value without a position. A point between two gaps is a dot.
    fn median(&self, line: &Line<'_>, class: &str) -> String {
        let points = self.steps.iter().zip(line.values).map(|(&step, &value)| self.point(step, value));
        let (mut d, mut dots) = (String::new(), String::new());
        for run in runs(points) {
            match run[..] {
                [(x, y)] => {
                    let r = radius(line.kind);
                    dots += &format!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\"/>");
                }
                _ => d += &path(run.into_iter()),
            }
        }
        let dashes = if class == "line" { dashes(line.kind) } else { String::new() };
        let stroke = if d.is_empty() { d } else { format!("<path class=\"{class}\"{dashes} d=\"{d}\"/>") };
        group(line.kind, &(stroke + &dots))
    }

    /// Draws the names at the ends of the lines, with a distance between them, and the lines that connect the two. An
    /// arrow marks a line that ends outside of the frame.
    fn names(&self) -> String {
        let ends: Vec<(EstimatorKind, f64, f64)> = self
            .lines
            .iter()
            .filter_map(|line| {
                let mut points =
                    self.steps.iter().zip(line.values).filter_map(|(&step, &value)| self.point(step, value));
                points.next_back().map(|(x, y)| (line.kind, x, y))
            })
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, _, y)| y.clamp(0.0, HEIGHT)).collect();
        let named = spread(&wanted, APART, 0.0, HEIGHT);
        ends.into_iter()
            .zip(named)
            .map(|((kind, x, y), named)| {
                let arrow = if y < 0.0 {
                    " ↑"
                } else if y > HEIGHT {
                    " ↓"
                } else {
                    ""
                };
                let (from, to) = (y.clamp(0.0, HEIGHT), WIDTH + LEADER - 3.0);
                // Dotted inside the frame, where it could be mistaken for a part of the line.
                let dots = if x < WIDTH - 1.0 { " stroke-dasharray=\"1 3\"" } else { "" };
                let leader = format!("<path class=\"leader\"{dots} d=\"M{x:.1} {from:.1}L{to} {named:.1}\"/>");
                let at = WIDTH + LEADER;
                let name =
                    format!("<text class=\"end\" x=\"{at}\" y=\"{named:.1}\" dy=\"0.35em\">{kind}{arrow}</text>");
                group(kind, &(leader + &name))
            })
            .collect()
    }

    fn point(&self, step: usize, value: f64) -> Option<(f64, f64)> {
        Some((self.x.at(step as f64)? * WIDTH, HEIGHT - self.y.at(value)? * HEIGHT))
    }
}

/// Groups the marks of an estimator, with its name as a tooltip; empty if there are no marks.
fn group(kind: EstimatorKind, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<g {}><title>{kind}</title>{content}</g>\n", marks(kind)) }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.enumerate().map(|(index, (x, y))| format!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })).collect()
}

/// Splits points at the gaps.
fn runs<T>(points: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for point in points {
        match (point, runs.last_mut()) {
            (Some(point), Some(run)) => run.push(point),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Returns positions with at least the distance `apart`, in the order of the `wanted` ones and as close to them as
/// possible (least squares), between `low` and `high` if there is enough space.
fn spread(wanted: &[f64], apart: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    // Neighbours that touch form a block: the sum of the positions that its members want for its first member, and the
    // number of members.
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    let first = |(sum, count): (f64, f64)| (sum / count).min(high - (count - 1.0) * apart).max(low);
    for &index in &order {
        let mut block = (wanted[index], 1.0);
        while let Some(&above) = blocks.last() {
            if first(above) + above.1 * apart <= first(block) {
                break;
            }
            blocks.pop();
            block = (above.0 + block.0 - block.1 * above.1 * apart, above.1 + block.1);
        }
        blocks.push(block);
    }
    let places = blocks
        .into_iter()
        .flat_map(|block| (0..block.1 as usize).map(move |member| first(block) + member as f64 * apart));
    let mut spread = vec![0.0; wanted.len()];
    order.iter().zip(places).for_each(|(&index, place)| spread[index] = place);
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [usize; 5] = [0, 25, 50, 75, 100];

    fn chart<'a>(lines: Vec<Line<'a>>) -> Chart<'a> {
        let x = Axis::linear([0.0, 100.0].into_iter());
        Chart { lines, steps: &STEPS, x, y: Axis::linear([0.0, 10.0].into_iter()), y_name: Some("loss") }
    }

    fn line<'a>(values: &'a [f64]) -> Line<'a> {
        Line { kind: EstimatorKind::Gengs, values, band: None }
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let drawn = chart(vec![line(&[10.0, 5.0, 0.0, 2.5, 2.5])]).draw(0.0, 0.0);
        assert!(
            drawn.contains("<path class=\"line\" d=\"M0.0 0.0L47.0 100.0L94.0 200.0L141.0 150.0L188.0 150.0\"/>"),
            "{drawn}"
        );
        assert!(drawn.contains("<path class=\"leader\" d=\"M188.0 150.0L201 150.0\"/>"), "{drawn}");
    }

    #[test]
    fn a_value_without_a_place_is_a_gap() {
        let drawn = chart(vec![line(&[10.0, 5.0, f64::NAN, 5.0, 10.0])]).draw(0.0, 0.0);
        assert!(drawn.contains("d=\"M0.0 0.0L47.0 100.0M141.0 100.0L188.0 0.0\""), "{drawn}");
        let alone = chart(vec![line(&[f64::INFINITY, 5.0, f64::NAN, f64::NAN, f64::NAN])]).draw(0.0, 0.0);
        assert!(alone.contains("<circle class=\"dot\" cx=\"47.0\" cy=\"100.0\" r=\"3.5\"/>"), "{alone}");
        assert!(!alone.contains("class=\"line\""), "{alone}");
        let none = chart(vec![line(&[f64::NAN; 5])]).draw(0.0, 0.0);
        assert!(!none.contains("NaN") && !none.contains("class=\"end\""), "{none}");
    }

    #[test]
    fn a_band_runs_along_the_largest_and_back_along_the_smallest() {
        let (low, high) = ([0.0, 2.5, f64::NAN, 0.0, 0.0], [5.0, 7.5, 10.0, 10.0, 10.0]);
        let drawn = chart(vec![Line { band: Some((&low, &high)), ..line(&[]) }]).draw(0.0, 0.0);
        assert!(drawn.contains("<path class=\"band\" d=\"M0.0 100.0L47.0 50.0L47.0 150.0L0.0 200.0Z\"/>"), "{drawn}");
        assert!(
            drawn.contains("<path class=\"band\" d=\"M141.0 0.0L188.0 0.0L188.0 200.0L141.0 200.0Z\"/>"),
            "{drawn}"
        );
    }

    #[test]
    fn a_logarithmic_axis_leaves_out_what_is_not_positive_but_not_the_band_above_it() {
        let (low, high) = ([-1.0, 0.0, 1.0, 1.0, 1.0], [10.0; 5]);
        let y = Axis::logarithmic([1.0, 10.0].into_iter());
        let lines = vec![Line { band: Some((&low, &high)), ..line(&[0.0, -1.0, 1.0, 10.0, 10.0]) }];
        let drawn = Chart { y, ..chart(lines) }.draw(0.0, 0.0);
        // A decade takes 1 / 1.08 of the height, with equal margins.
        assert!(drawn.contains("class=\"line\" d=\"M94.0 192.6L141.0 7.4L188.0 7.4\""), "{drawn}");
        assert!(drawn.contains("L94.0 192.6L47.0 200.0L0.0 200.0Z"), "{drawn}");
    }

    #[test]
    fn names_keep_apart_and_within_the_frame_and_close_to_their_lines() {
        assert_eq!(spread(&[50.0, 10.0, 51.0, 199.0, 200.0], 13.0, 0.0, 200.0), [44.0, 10.0, 57.0, 187.0, 200.0]);
        assert_eq!(spread(&[0.0, 0.0, 0.0], 13.0, 0.0, 200.0), [0.0, 13.0, 26.0]);
        assert_eq!(spread(&[5.0, 6.0], 13.0, 0.0, 4.0), [0.0, 13.0]);
        assert_eq!(spread(&[], 13.0, 0.0, 200.0), Vec::<f64>::new());
        let wanted: Vec<f64> = (0..14_u32).map(|index| f64::from(index * index * 77 % 200)).collect();
        let mut places = spread(&wanted, APART, 0.0, HEIGHT);
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > APART - 1e-9), "{places:?}");
        assert!(places[0] >= 0.0 && places[13] <= HEIGHT, "{places:?}");
    }

    #[test]
    fn an_arrow_tells_that_a_line_ends_beyond_the_frame() {
        let drawn = chart(vec![line(&[0.0, 0.0, 0.0, 0.0, -1.0]), line(&[0.0, 0.0, 0.0, 0.0, 11.0])]).draw(0.0, 0.0);
        assert!(drawn.contains(">gengs ↓</text>") && drawn.contains(">gengs ↑</text>"), "{drawn}");
    }
}
