//! A number that stands in two documents is the same in both.

use super::markdown::{rows, section, text};

/// The numbers of a cell: digits with points and commas between them.
fn numbers(cell: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ',');
    let parts = cell.split(|letter| !is_part(letter)).map(|part| part.trim_matches(['.', ',']));
    parts.filter(|part| !part.is_empty()).map(String::from).collect()
}

fn in_tables(document: &str) -> Vec<String> {
    rows(document).iter().flatten().flat_map(|cell| numbers(cell)).collect()
}

#[test]
fn the_headline_quotes_the_results() {
    let (readme, results) = (text("README.md"), in_tables(&text("docs/results.md")));
    let headline = rows(section(&readme, "## Measured"));
    assert!((2..=6).contains(&headline.len()), "at most five rows under a head: {headline:?}");
    for row in &headline[1..] {
        for number in row[1..3].iter().flat_map(|cell| numbers(cell)) {
            assert!(results.contains(&number), "docs/results.md has no {number}, which the README quotes: {row:?}");
        }
    }
}

#[test]
fn results_quote_what_the_benches_wrote() {
    let results = text("docs/results.md");
    let speed = section(&results, "## Speed beside peers");
    let written = [in_tables(&text("benches/RESULTS.md")), in_tables(&text("benches/TOPICS.md"))].concat();
    for row in rows(speed) {
        for number in row.iter().flat_map(|cell| numbers(cell)) {
            assert!(written.contains(&number), "no file in benches/ has {number}: {row:?}");
        }
    }
}

/// The README shows the evaluation of a run whose numbers stand in a row of the results.
#[test]
fn the_shown_run_stands_in_the_results() {
    let (readme, results) = (text("README.md"), text("docs/results.md"));
    let shown = |name: &str| -> f64 {
        let line = readme.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no line {name}"));
        numbers(&line[name.len()..])[0].parse().unwrap()
    };
    let row = rows(&results).into_iter().find(|row| row.iter().any(|cell| cell.contains("the README shows this run")));
    let row = row.expect("docs/results.md names the run that the README shows");
    for (column, name) in [(1, "-ELBO   "), (2, "-IWAE   "), (3, "-ELBO relaxed ")] {
        let found: f64 = row[column].parse().unwrap();
        assert!((found - shown(name)).abs() <= 0.0051, "{name}: {found} and {}", shown(name));
    }
}
