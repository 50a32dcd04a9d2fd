//! Optimisation curves for readers: a page with everything, or one picture per law.
//!
//! Both are self-contained: they load no fonts, styles or scripts. The page's script only dims the other estimators
//! while the pointer is on one; without it, the page is complete. The page follows the reader's choice of light or
//! dark.

use super::axis::number;
use super::curves::{Band, Curve, Panel};
use super::figure::{Figure, SWATCH, swatch};
use super::palette::{COLOURS, COLUMNS, title};
use crate::estimators::Approach;
use crate::markup::{escape, page};

/// Renders one page: for each law its charts, a table of the final values of every estimator, and the learned
/// quantities.
///
/// `settings` describes the runs; its line breaks are kept.
///
/// Values that are not finite are gaps in their lines. Values of zero or less have no position on a logarithmic axis;
/// they are left out, and a note names their estimators.
pub fn html(panels: &[Panel], title: &str, settings: &str) -> String {
    let laws: String = panels.iter().map(law).collect();
    let (light, dark) = (style(&LIGHT), style(&DARK));
    let style = format!("{light}{PAGE}@media (prefers-color-scheme: dark) {{\n{dark}}}\n");
    page(title, settings, &style, &laws, SCRIPT)
}

/// Renders one picture of one law, on white: the charts of [`html`].
pub fn svg(panel: &Panel) -> String {
    let under = format!(
        "<style>\n{}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
        style(&LIGHT),
        LIGHT.paper
    );
    Figure::of(panel, true).svg(&panel.law, &under)
}

/// Renders the section of one law.
fn law(panel: &Panel) -> String {
    let (name, task) = (escape(&panel.law), escape(&panel.task));
    let least = number(panel.least_loss);
    let charts = Figure::of(panel, false).svg(&panel.law, "");
    let (table, learned) = (table(panel), learned(panel));
    let head = format!("<h2>{name}</h2>\n<p>{task}</p>\n<p>The least loss is {least}.</p>");
    format!("<section>\n{head}\n<div class=\"wide\">{charts}</div>\n{table}{learned}</section>\n")
}

/// Renders the table of the final values of the estimators, the lowest loss first.
fn table(panel: &Panel) -> String {
    let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
    let mut curves: Vec<&Curve> = panel.curves.iter().collect();
    // Sorts NaN of either sign last.
    let loss =
        |curve: &Curve| Some(last(&curve.excess_loss.median)).filter(|loss| !loss.is_nan()).unwrap_or(f64::INFINITY);
    curves.sort_by(|one, other| loss(one).total_cmp(&loss(other)));
    let written = |values: &[f64]| values.last().map_or_else(|| "none".into(), |value| number(*value));
    let rows: String = curves
        .into_iter()
        .map(|curve| {
            let Curve {
                estimator,
                excess_loss: Band { median, low, high },
                variance,
                evaluations,
                seconds_per_step,
                ..
            } = curve;
            let line = format!("<svg width=\"{SWATCH}\" height=\"8\">{}</svg>", swatch(*estimator, 0.0, 4.0));
            let cells = [
                evaluations.to_string(),
                number(seconds_per_step * 1e3),
                match curve.ended_at {
                    Some(step) => format!("{} (ended at step {step})", written(median)),
                    None => written(median),
                },
                format!("{} .. {}", written(low), written(high)),
                written(&variance.median),
            ];
            let cells: String = cells.into_iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr data-estimator=\"{estimator}\"><th scope=\"row\">{line} {estimator}</th>{cells}</tr>\n")
        })
        .collect();
    let heads = [
        "estimator",
        "evaluations an estimate",
        "ms a step",
        "final loss above the least (median)",
        "smallest .. largest",
        "final variance of one estimate (median)",
    ];
    let heads: String = heads.into_iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

/// Renders a chart for each learned quantity of the estimators of an approach.
fn learned(panel: &Panel) -> String {
    let charts: Vec<String> = COLUMNS
        .into_iter()
        .flat_map(|approach| quantities(panel, approach).into_iter().map(move |name| (approach, name)))
        .map(|(approach, name)| {
            let figure = Figure::of_quantity(panel, approach, name).svg(name, "");
            format!("<figure><figcaption>{}: {}</figcaption>{figure}</figure>\n", title(approach), escape(name))
        })
        .collect();
    if charts.is_empty() {
        return String::new();
    }
    format!("<h3>What was learned (first seed)</h3>\n<div class=\"learned\">\n{}</div>\n", charts.concat())
}

/// Returns the names of the learned quantities of the estimators of an approach, each once.
fn quantities(panel: &Panel, approach: Approach) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panel.curves.iter().filter(|curve| curve.estimator.facts().approach == approach) {
        for (name, _) in &curve.quantities {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

/// The colours of text and lines on a background.
struct Theme {
    paper: &'static str,
    ink: &'static str,
    faint: &'static str,
    grid: &'static str,
    reference: &'static str,
}

const LIGHT: Theme =
    Theme { paper: "#ffffff", ink: "#1b1f24", faint: "#57606a", grid: "#e4e7eb", reference: "#8a929c" };

const DARK: Theme = Theme { paper: "#14171b", ink: "#e6e8eb", faint: "#a0a8b2", grid: "#2c323a", reference: "#8a929c" };

/// Returns the CSS of charts. Names have the colour of text and not of their lines, so that they are legible on any
/// background.
fn style(theme: &Theme) -> String {
    let Theme { paper, ink, faint, grid, reference } = theme;
    let colours: String = COLOURS
        .iter()
        .enumerate()
        .map(|(index, colour)| format!(".colour{index} {{ stroke: {colour}; fill: {colour}; }}\n"))
        .collect();
    format!(
        "{colours}.reference {{ stroke: {reference}; fill: {reference}; }}
.figure {{ font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  background: {paper}; }}
.figure text {{ fill: {ink}; stroke: none; }}
.figure text.law {{ font-size: 17px; font-weight: 600; }}
.figure text.title {{ font-size: 13px; font-weight: 600; }}
.figure text.note {{ fill: {faint}; }}
.grid {{ stroke: {grid}; fill: none; }}
.line {{ stroke-width: 2; fill: none; }}
.reference .line {{ stroke-width: 4; stroke-opacity: 0.55; }}
.hairline {{ stroke-width: 1; stroke-opacity: 0.6; fill: none; }}
.leader {{ stroke-width: 1; fill: none; }}
.band {{ fill-opacity: 0.13; stroke-opacity: 0.3; stroke-width: 0.5; }}
.dot {{ stroke: none; }}
body {{ background: {paper}; color: {ink}; }}
th, td {{ border-bottom: 1px solid {grid}; }}
figcaption, .settings {{ color: {faint}; }}
"
    )
}

const PAGE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
body { margin: 2rem auto; max-width: 1360px; padding: 0 1rem; }
h1 { font-size: 1.6rem; }
h2 { margin-top: 3rem; }
.settings { white-space: pre-wrap; }
.wide { overflow-x: auto; }
.wide .figure { display: block; }
.learned { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-top: 1rem; }
th, td { padding: 0.2rem 0.9rem; text-align: right; }
tbody th, td { white-space: nowrap; }
th:first-child { text-align: left; }
thead th { vertical-align: bottom; max-width: 11rem; }
tbody th { font-weight: normal; }
[data-estimator] { transition: opacity 0.1s; }
.pointed [data-estimator]:not(.on) { opacity: 0.2; }
";

const SCRIPT: &str = "\
document.querySelectorAll('section').forEach(law => {
  const marks = law.querySelectorAll('[data-estimator]');
  marks.forEach(mark => {
    mark.addEventListener('mouseenter', () => {
      const name = mark.dataset.estimator;
      marks.forEach(other => other.classList.toggle('on', other.dataset.estimator === name));
      law.classList.add('pointed');
    });
    mark.addEventListener('mouseleave', () => law.classList.remove('pointed'));
  });
});
";
