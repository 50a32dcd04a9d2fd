//! The pictures of optimisation curves: nothing missing, nothing covered, well-formed whatever the curves hold.

use gengs::estimators::EstimatorKind;
use gengs::laboratory::{Band, Curve, Panel, report};
use roxmltree::{Document, Node, ParsingOptions};

/// Estimators that have a column of their own beside the exact one, by column.
const COLUMNS: [&[&str]; 5] = [
    &["gengs", "eat-sigmoid", "eat-cubic"],
    &["gengs-st", "fini-1", "fini-2", "fini-3", "gumbel-rao", "reinmax"],
    &["reinforce", "reinforce-ma", "reinforce-loo", "nvil", "nvil-baseline", "vimco"],
    &["muprop", "rebar", "relax", "relax-dequantized"],
    &["go", "go-one", "go-dequantized", "go-dequantized-one"],
];

fn band(values: &[f64]) -> Band {
    let scaled = |factor: f64| values.iter().map(|value| value * factor).collect();
    Band { median: values.to_vec(), low: scaled(0.5), high: scaled(2.0) }
}

fn curve(estimator: EstimatorKind, loss: &[f64], variance: &[f64]) -> Curve {
    Curve {
        estimator,
        excess_loss: band(loss),
        variance: band(variance),
        evaluations: 2,
        seconds_per_step: 0.0125,
        quantities: Vec::new(),
        ended_at: None,
        ended_by: None,
    }
}

fn panel(curves: Vec<Curve>) -> Panel {
    Panel { law: "Poisson(20)".into(), task: "one rate".into(), steps: vec![0, 50, 100], least_loss: 20.0, curves }
}

/// All estimators, on the same values.
fn coinciding() -> Panel {
    panel(EstimatorKind::ALL.into_iter().map(|kind| curve(kind, &[100.0, 10.0, 1.0], &[9.0, 3.0, 1.0])).collect())
}

fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn elements<'a>(document: &'a Document<'_>, tag: &'a str, class: &'a str) -> Vec<Node<'a, 'a>> {
    under(document.root(), tag, class)
}

fn under<'a>(node: Node<'a, 'a>, tag: &'a str, class: &'a str) -> Vec<Node<'a, 'a>> {
    let matches = |node: &Node<'_, '_>| node.tag_name().name() == tag && node.attribute("class").unwrap_or("") == class;
    node.descendants().filter(matches).collect()
}

/// What is in the frames and around them.
fn charts<'a>(document: &'a Document<'_>) -> Vec<Node<'a, 'a>> {
    elements(document, "svg", "").into_iter().filter_map(|frame| frame.parent()).collect()
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect()
}

fn path(line: Node<'_, '_>) -> String {
    line.attribute("d").unwrap().to_string()
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

#[test]
fn every_estimator_is_drawn_and_named_once_in_its_column() {
    let picture = report::svg(&coinciding());
    let document = parsed(&picture);
    let charts = charts(&document);
    assert_eq!(charts.len(), 10);
    for (column, kinds) in COLUMNS.iter().enumerate() {
        for (row, reference) in [(0, Some("exact")), (1, None)] {
            let chart = charts[2 * column + row];
            let expected = sorted(kinds.iter().copied().chain(reference).map(String::from));
            assert_eq!(sorted(under(chart, "text", "end").into_iter().map(text)), expected);
            let drawn =
                under(chart, "path", "line").into_iter().filter_map(|line| line.parent()?.attribute("data-estimator"));
            assert_eq!(sorted(drawn.map(String::from)), expected);
        }
    }
    let legend = sorted(elements(&document, "text", "legend").into_iter().map(text));
    assert_eq!(
        legend,
        sorted(COLUMNS.iter().flat_map(|kinds| kinds.iter().chain([&"exact"])).map(|kind| (*kind).to_string()))
    );
}

#[test]
fn names_of_coinciding_lines_do_not_touch() {
    let picture = report::svg(&coinciding());
    let document = parsed(&picture);
    for chart in charts(&document) {
        let names = under(chart, "text", "end").into_iter();
        let mut places: Vec<f64> = names.map(|name| name.attribute("y").unwrap().parse().unwrap()).collect();
        places.sort_by(f64::total_cmp);
        // The letters are 12 high, the places rounded to tenths.
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 12.8), "{places:?}");
    }
}

#[test]
fn both_axes_have_names() {
    let picture = report::svg(&coinciding());
    let document = parsed(&picture);
    let names: Vec<String> = elements(&document, "text", "name").into_iter().map(text).collect();
    assert_eq!(names.iter().filter(|name| *name == "step").count(), 10);
    assert!(names.contains(&"loss above the least".to_string()));
    assert!(names.contains(&"variance of one gradient estimate".to_string()));
}

#[test]
fn all_columns_have_one_range() {
    let mut curves = vec![curve(EstimatorKind::Gengs, &[1000.0, 10.0, 10.0], &[1.0; 3])];
    curves.push(curve(EstimatorKind::Go, &[10.0, 10.0, 0.1], &[1.0; 3]));
    let picture = report::svg(&panel(curves));
    let document = parsed(&picture);
    let charts = charts(&document);
    let line = |chart: usize| path(under(charts[chart], "path", "line")[0]);
    // Four decades between the medians, and a factor of two at both ends for the bands, with margins.
    let decades = 4.0 + 2.0 * 2.0_f64.log10();
    let at = |decade: f64| 200.0 * (1.0 - (0.04 + (decade + 2.0_f64.log10()) / decades) / 1.08);
    let close = |path: &str, values: [f64; 3]| {
        let found: Vec<f64> =
            path.split(['M', 'L']).skip(1).map(|point| point.split_once(' ').unwrap().1.parse().unwrap()).collect();
        assert!(found.iter().zip(values).all(|(found, value)| (found - value).abs() < 0.06), "{path} {values:?}");
    };
    close(&line(0), [at(4.0), at(2.0), at(2.0)]);
    close(&line(2), [at(2.0), at(2.0), at(0.0)]);
}

#[test]
fn whatever_the_curves_hold_the_result_is_well_formed() {
    let strange = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0];
    let mut panels = vec![panel(Vec::new()), panel(vec![curve(EstimatorKind::Go, &[], &[])])];
    panels.push(Panel { steps: Vec::new(), ..coinciding() });
    panels.push(Panel { steps: vec![7], ..coinciding() });
    panels.push(Panel { steps: vec![usize::MAX, 0, usize::MAX], ..coinciding() });
    panels.push(panel(vec![curve(EstimatorKind::Exact, &[1.0, 0.1, 0.0], &[0.0; 3])]));
    for one in strange {
        for other in strange {
            let values = [one, other, one];
            let mut curves: Vec<Curve> =
                EstimatorKind::ALL.into_iter().map(|kind| curve(kind, &values, &values)).collect();
            curves[7].quantities = vec![("scale".into(), values.to_vec()), ("&".into(), Vec::new())];
            panels.push(Panel { least_loss: one, ..panel(curves) });
        }
    }
    for panel in &panels {
        let (page, picture) = (report::html(std::slice::from_ref(panel), "title", "settings"), report::svg(panel));
        for text in [page, picture] {
            let document = parsed(&text);
            for attribute in document.descendants().flat_map(|node| node.attributes()) {
                let (name, value) = (attribute.name(), attribute.value());
                let is_place = matches!(name, "d" | "x" | "y" | "cx" | "cy" | "transform" | "viewBox" | "height");
                assert!(!is_place || !value.contains("NaN") && !value.contains("inf"), "{name}: {value}");
            }
        }
    }
    parsed(&report::html(&[], "", ""));
}

#[test]
fn words_of_the_user_are_text_and_not_markup() {
    let words = "<script>alert('1 & 2')</script>\0";
    let mut curves = coinciding().curves;
    curves[13].quantities = vec![(words.into(), vec![1.0, 2.0, 3.0])];
    let panel = Panel { law: words.into(), task: words.into(), ..panel(curves) };
    let (page, picture) = (report::html(std::slice::from_ref(&panel), words, words), report::svg(&panel));
    for (text, scripts) in [(page, 1), (picture, 0)] {
        let document = parsed(&text);
        assert_eq!(elements(&document, "script", "").len(), scripts);
        assert!(document.descendants().any(|node| node.text() == Some("<script>alert('1 & 2')</script>\u{fffd}")));
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = report::html(&[coinciding()], "title", "settings");
    for outside in ["src=", "href", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let namespaces = page.matches("xmlns=\"http://www.w3.org/").count();
    assert_eq!(page.matches("http").count(), namespaces);
}

#[test]
fn the_table_lists_the_lowest_loss_first_and_what_is_no_number_last() {
    let curves = vec![
        curve(EstimatorKind::Nvil, &[1.0, 1.0, -f64::NAN], &[1.0; 3]),
        curve(EstimatorKind::Go, &[1.0, 1.0, 0.5], &[3.0, 2.0, 0.00012]),
        curve(EstimatorKind::Exact, &[1.0, 1.0, 0.25], &[0.0; 3]),
    ];
    let page = report::html(&[panel(curves)], "title", "settings");
    let document = parsed(&page);
    let rows: Vec<Vec<String>> = document
        .descendants()
        .filter(|node| node.tag_name().name() == "tr" && node.has_attribute("data-estimator"))
        .map(|row| row.children().map(|cell| text(cell).trim().to_string()).collect())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0].rsplit(' ').next().unwrap()).collect();
    assert_eq!(names, ["exact", "go", "nvil"]);
    assert_eq!(rows[0][1..], ["2", "12.5", "0.250", "0.125 .. 0.500", "0"]);
    assert_eq!(rows[1][1..], ["2", "12.5", "0.500", "0.250 .. 1.00", "1.20·10⁻⁴"]);
    assert_eq!(rows[2][3], "NaN");
}

#[test]
fn what_was_learned_is_drawn_once_for_each_group_and_quantity() {
    let mut curves = coinciding().curves;
    for curve in &mut curves {
        match curve.estimator {
            EstimatorKind::Rebar | EstimatorKind::Relax => {
                curve.quantities =
                    vec![("temperature".into(), vec![0.5, 0.4, 0.3]), ("scale".into(), vec![-1.0, 0.0, 1.0])];
            }
            EstimatorKind::Nvil => curve.quantities = vec![("deviation".into(), vec![3.0, 2.0, 1.0])],
            _ => {}
        }
    }
    let page = report::html(&[panel(curves)], "title", "settings");
    let document = parsed(&page);
    let captions: Vec<String> = elements(&document, "figcaption", "").into_iter().map(text).collect();
    assert_eq!(captions, ["score function: deviation", "control variates: temperature", "control variates: scale"]);
    let scale = elements(&document, "figcaption", "")[2].parent().unwrap();
    assert_eq!(sorted(under(scale, "text", "end").into_iter().map(text)), ["rebar", "relax"]);
    // On a linear axis, negative values have their place.
    let line = path(under(scale, "path", "line")[0]);
    assert_eq!(line, "M0.0 192.6L94.0 100.0L188.0 7.4");
}
