//! Progress on stderr: a bar on a terminal, lines elsewhere.

use crate::markup::printable;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows the progress of a run, counted in steps.
#[derive(Debug)]
pub struct Meter {
    bar: Option<ProgressBar>,
    lines: bool,
    total: u64,
    /// The time of the first step of this process, and its number.
    first: Option<(Instant, u64)>,
}

impl Meter {
    /// Makes a meter for `total` steps; it shows nothing if `quiet`.
    pub fn new(total: usize, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}, {eta} left") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, lines: !terminal && !quiet, total: total as u64, first: None }
    }

    /// Shows that `done` steps are finished. `message` is called only if its text is shown.
    pub fn step(&mut self, done: usize, message: impl FnOnce() -> String) {
        self.first.get_or_insert((Instant::now(), done as u64));
        if let Some(bar) = &self.bar {
            if self.first.is_some_and(|(_, first)| first == done as u64) {
                bar.reset_eta();
            }
            bar.set_position(done as u64);
            bar.set_message(message());
        }
    }

    /// Prints a line above the bar, as after an epoch.
    pub fn line(&self, done: usize, text: &str) {
        if let Some(bar) = &self.bar {
            bar.println(printable(text));
        } else if self.lines {
            super::runtime::print_status(format_args!("{text}{}", self.time_left(done as u64)));
        }
    }

    /// Removes the bar from the terminal.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Returns the estimated time left, as the end of a line; empty after the first and the last step.
    fn time_left(&self, done: u64) -> String {
        match self.first {
            Some((start, first)) if done > first && done < self.total => {
                let per_step = start.elapsed().as_secs_f64() / (done - first) as f64;
                let time_left = Duration::from_secs_f64(per_step * (self.total - done) as f64);
                format!(", {} s left", time_left.as_secs())
            }
            _ => String::new(),
        }
    }
}
