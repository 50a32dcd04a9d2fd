//! The README's promises about itself: its length, its code, its commands, and what it shows of their output.

use super::commands::{command_words, program};
use super::markdown::{Block, blocks, root, rows, section, text};
use crate::common::seeded;
use assert_cmd::Command;
use gengs::distributions::Distribution;
use gengs::estimators::{Baseline, Estimator, Expectation, Reinforce};
use gengs::prelude::*;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// The README's first code, whose output is kept.
mod first_steps {
    thread_local! {
        pub static PRINTED: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    macro_rules! println {
        ($($argument:tt)*) => {{
            let line = format!($($argument)*);
            PRINTED.with_borrow_mut(|lines| lines.push(line));
        }};
    }

    include!("../../../examples/first_steps.rs");

    pub fn run() -> gengs::Result<Vec<String>> {
        main()?;
        Ok(PRINTED.take())
    }
}

/// Words of prose: those with a letter or a digit outside of code blocks, tables, HTML, what is folded away, and the targets of links.
/// Words in code spans and headings count.
fn prose(text: &str) -> Vec<String> {
    let folded: Vec<&str> = text.split("<details>").map(|part| part.rsplit("</details>").next().unwrap()).collect();
    let shown = folded.concat();
    let lines = blocks(&shown).1.into_iter().filter(|line| !line.starts_with('|') && !line.starts_with("!["));
    let lines: Vec<&str> = lines.collect();
    let untagged: String =
        lines.join("\n").split('<').map(|part| part.split_once('>').map_or(part, |(_, after)| after)).collect();
    let unlinked: Vec<&str> = untagged
        .split("](")
        .enumerate()
        .map(|(number, part)| if number == 0 { part } else { part.split_once(')').map_or(part, |(_, after)| after) })
        .collect();
    let words = unlinked.join(" ");
    let words = words.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    words.map(String::from).collect()
}

#[test]
fn the_page_is_short() {
    let readme = text("README.md");
    let count = prose(&readme).len();
    assert!((300..=900).contains(&count), "{count} words of prose");
    let sentence = readme.lines().nth(2).unwrap();
    assert!(sentence.ends_with('.') && sentence.split_whitespace().count() <= 20, "{sentence}");
    let wide: Vec<&str> = readme.lines().filter(|line| !line.starts_with('|') && line.chars().count() > 150).collect();
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    let picture = std::fs::metadata(root().join("docs/topics.svg")).unwrap();
    assert!(picture.len() < 200_000);
}

#[test]
fn the_first_code_is_the_example_and_prints_what_is_shown() {
    let (readme, example) = (text("README.md"), text("examples/first_steps.rs"));
    let (blocks, _) = blocks(&readme);
    let place = blocks.iter().position(|block| block.language == "rust").unwrap();
    let code = example.lines().skip_while(|line| line.is_empty() || line.starts_with("//"));
    assert_eq!(blocks[place].lines, code.collect::<Vec<_>>(), "examples/first_steps.rs");
    let _guard = seeded(0);
    let printed = first_steps::run().unwrap();
    assert_eq!(blocks[place + 1].language, "text");
    shown(&blocks[place + 1], &printed, Compared::Numbers);
}

/// What is compared of an output beside its words.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Compared {
    /// That numbers stand where numbers are shown.
    Columns,
    /// The numbers, to 2 % and two of the last digits shown; not the last one of a row, which is a time.
    Numbers,
}

/// A word as a number, what stands around it, and two units of its last digit.
fn number(word: &str) -> Option<(f64, String, f64)> {
    let inner = word.trim_matches(['(', ')', '[', ']', ',', ':', ';', '%']);
    let value = inner.parse().ok().filter(|_| inner.contains(|letter: char| letter.is_ascii_digit()))?;
    let digits = inner.split_once('.').map_or(0, |(_, digits)| digits.len());
    Some((value, word.replacen(inner, "#", 1), 2.0 * 0.1_f64.powi(i32::try_from(digits).unwrap())))
}

/// Whether a line of output is as it is shown; it may go on. In a row, which begins with a number, words may be others.
fn fits(shown: &str, line: &str, compared: Compared) -> bool {
    let (shown, line): (Vec<&str>, Vec<&str>) = (shown.split_whitespace().collect(), line.split_whitespace().collect());
    let is_row = shown.first().is_some_and(|word| number(word).is_some());
    let last = shown.len().saturating_sub(1);
    let same = |(place, (shown, found)): (usize, (&&str, &&str))| match (number(shown), number(found)) {
        (Some((expected, around, unit)), Some((value, also_around, _))) => {
            let is_near = (value - expected).abs() <= 0.02 * expected.abs() + unit;
            // A line that goes on may do so with a comma.
            let same_around = around == also_around || place == last && also_around.trim_end_matches(',') == around;
            same_around && (compared == Compared::Columns || is_near || place == last && last > 3)
        }
        (None, None) => shown == found || is_row,
        _ => false,
    };
    line.len() >= shown.len() && shown.iter().zip(&line).enumerate().all(same)
}

/// Fails unless the lines that are shown occur in an output, in their order; `...` stands for lines that are left out.
#[track_caller]
fn shown(block: &Block, output: &[String], compared: Compared) {
    let mut rest = output.iter();
    for line in block.lines.iter().filter(|line| *line != "...") {
        let found = rest.any(|found| fits(line, found, compared));
        assert!(found, "not printed ({compared:?}): {line}\nprinted:\n{}", output.join("\n"));
    }
}

/// What is put behind a command so that it takes a second: trainings have two epochs, images small networks, evaluations two samples,
/// experiments two steps, and all one thread.
fn shortened(name: &str, arguments: &[&str], thorough: bool) -> Vec<String> {
    let more: &[&str] = match (name, arguments.first()) {
        _ if thorough => &[],
        ("gengs-gradients", None) => &["--steps", "2", "--seeds", "1"],
        ("gengs-vae", Some(&"train")) => &["--epochs", "2", "--hidden", "32", "--latents", "8"],
        (_, Some(&"train")) => &["--epochs", "2"],
        (_, Some(&"eval")) => &["--importance-samples", "2"],
        _ => &[],
    };
    [arguments, more, &["--threads", "1"]].concat().into_iter().map(String::from).collect()
}

/// Texts of three themes, a text a line, for the README's `news.txt`.
fn news() -> String {
    let themes = [
        "orbit rocket launch moon shuttle planet",
        "goal match team season coach league",
        "vote party election senate law court",
    ];
    let words: Vec<Vec<&str>> = themes.iter().map(|theme| theme.split(' ').collect()).collect();
    let text = |number: usize| -> String {
        let theme = &words[number % 3];
        (0..12).map(|place| format!("{} ", theme[(number / 3 + place * (1 + number % 5)) % theme.len()])).collect()
    };
    (0..240).map(|number| text(number) + "\n").collect()
}

/// Runs the programs of a block of commands in a folder, and returns the lines that they print.
fn run(block: &Block, folder: &Path, thorough: bool) -> Vec<String> {
    let mut printed = Vec::new();
    for line in &block.lines {
        for part in line.split("&&") {
            let words = command_words(part);
            let Some((name, arguments)) = program(&words) else {
                let first = words.first().copied().unwrap_or_default();
                assert!(first == "cargo" || root().join(first).is_file(), "what is {part}?");
                continue;
            };
            let mut command = Command::cargo_bin(name).unwrap();
            command.current_dir(folder).env_remove("GENGS_DATA").args(shortened(name, arguments, thorough));
            let output = command.output().unwrap();
            let lines = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
            assert!(output.status.success(), "{part}\n{}", lines.concat());
            printed.extend(lines.iter().flat_map(|text| text.lines()).map(String::from));
        }
    }
    printed
}

/// Every command of the README, each block in a folder of its own, and what is shown behind the blocks.
fn walk(thorough: bool) {
    let (blocks, _) = blocks(&text("README.md"));
    let commands: Vec<usize> = (0..blocks.len()).filter(|&number| blocks[number].language == "sh").collect();
    assert!(commands.len() >= 4, "{commands:?}");
    std::thread::scope(|scope| {
        for number in commands {
            let blocks = &blocks;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                std::fs::write(folder.path().join("news.txt"), news()).unwrap();
                let printed = run(&blocks[number], folder.path(), thorough);
                let certifies = blocks[number].lines.iter().any(|line| line.contains(" certify "));
                if let Some(output) = blocks.get(number + 1).filter(|block| block.language == "text") {
                    shown(output, &printed, if certifies { Compared::Numbers } else { Compared::Columns });
                }
            });
        }
    });
}

#[test]
fn commands_print_what_is_shown() {
    walk(false);
}

#[test]
#[ignore = "minutes: trains as long as the README does"]
fn commands_print_what_is_shown_at_full_length() {
    walk(true);
}

/// The right column of the cheat sheet, each as code that is compiled and run.
#[test]
fn the_cheat_sheet_runs() -> gengs::Result<()> {
    let readme = text("README.md");
    let sheet = rows(section(&readme, "## The library"));
    let mut left: Vec<String> = sheet[1..].iter().map(|row| row[1].trim_matches('`').replace(' ', "")).collect();
    assert_eq!(left.len(), 10);
    macro_rules! row {
        ($code:expr) => {{
            let code = stringify!($code).split_whitespace().collect::<String>();
            let place = left.iter().position(|row| *row == code);
            left.remove(place.unwrap_or_else(|| panic!("the cheat sheet has no {code}; left are {left:?}")));
            $code
        }};
    }
    let _guard = seeded(0);
    let (rate, n, l, a) = (Tensor::from(2.0), Tensor::from(3.0), Tensor::from_slice(&[0.0, 1.0]), Tensor::from(0.5));
    let (k, t, device) = (Tensor::from(1.0), 0.5, Device::Cpu);
    let law = row!(Poisson::new(&rate)?);
    assert!((law.mean().double_value(&[]) - 2.0).abs() < 1e-12);
    row!(NegativeBinomial::from_logits(&n, &l)?);
    let log_pmf = |p: &[Tensor], k: &Tensor| k * p[0].log() + p[0].neg().log1p();
    row!(Custom::builder("Mine", Support::from(0)).parameter("a", &a).build(log_pmf)?);
    let (one, other) = (Poisson::new(&rate)?, Geometric::new(&a)?);
    row!(Mixture::new(&Categorical::from_logits(&l)?, vec![Box::new(one), Box::new(other)])?);
    let log_prob = row!(law.log_prob(&k)?);
    assert!((log_prob.double_value(&[]) - (2.0_f64.ln() - 2.0)).abs() < 1e-9);
    let _ = row!(Relaxation::new(&TruncatedDistribution::one_hot(&l)?, t)?.rsample(&[])?);
    let (q, p) = (TruncatedDistribution::new(&law, &Truncation::right(20))?, Poisson::new(&k)?);
    let p = TruncatedDistribution::new(&p, &Truncation::right(20))?;
    let z = row!(Relaxation::new(&q, t)?.forward(Forward::StraightThrough).rsample(&[])?);
    assert_eq!(z.double_value(&[]).fract(), 0.0);
    let kl = row!(q.kl(&p)?);
    assert!((kl.double_value(&[]) - (2.0 * 2.0_f64.ln() - 1.0)).abs() < 1e-6, "rate log(rate / other) - rate + other");
    let f = |z: &Tensor| z.square();
    assert!((row!(q.expectation(f)?).double_value(&[]) - 6.0).abs() < 1e-6);
    let rows_of = TruncatedDistribution::new(&Poisson::new(&rate.reshape([1]))?, &Truncation::right(20))?;
    let f = |z: &Tensor| z.sum_dim_intlist(-1, false, None::<Kind>);
    let expectation = Expectation::new(&rows_of, &f)?;
    row!(Reinforce::new(Baseline::MovingAverage, device)?.estimate(&expectation)?);
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}
