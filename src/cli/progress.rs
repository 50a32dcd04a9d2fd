//! A progress bar on a terminal, plain lines elsewhere; always on stderr.

use crate::markup::printable;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows how far a run is.
#[derive(Debug)]
pub struct Meter {
    bar: Option<ProgressBar>,
    lines: bool,
    total: u64,
    first: Option<(Instant, u64)>,
}

impl Meter {
    /// For a number of steps; shows nothing when `quiet`.
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

    /// After a step; `message` is only made when it will be shown.
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

    /// A line that stays, after an epoch.
    pub fn line(&self, done: usize, text: &str) {
        if let Some(bar) = &self.bar {
            bar.println(printable(text));
        } else if self.lines {
            super::runtime::print_status(format_args!("{text}{}", self.left(done as u64)));
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn left(&self, done: u64) -> String {
        match self.first {
            Some((start, first)) if done > first && done < self.total => {
                let per_step = start.elapsed().as_secs_f64() / (done - first) as f64;
                let left = Duration::from_secs_f64(per_step * (self.total - done) as f64);
                format!(", {} s left", left.as_secs())
            }
            _ => String::new(),
        }
    }
}
