//! Public functions, called with tensors and numbers of any kind, shape, size and value: an error, or the documented shape and kind, finite
//! numbers, and those of a reference in float64. Never a panic.

mod adam;
mod estimators;
mod expected;
mod laws;
mod relaxations;
mod source;
mod truncated;
mod vae;

use gengs::Result;
use source::Source;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Call = fn(&mut Source) -> Result<()>;

thread_local! {
    /// Whether panics of this thread are caught and counted, and not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Each function by name.
const CALLS: [&[(&str, Call)]; 6] =
    [laws::CALLS, truncated::CALLS, relaxations::CALLS, estimators::CALLS, adam::CALLS, vae::CALLS];

fn run(count: usize) {
    let _guard = crate::common::seeded(9);
    let mut source = Source::new(11);
    let mut tally: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    // Other tests run beside this one, and their panics are told.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !QUIET.get() {
            hook(info);
        }
    }));
    QUIET.set(true);
    let mut failures = Vec::new();
    let calls = CALLS.concat();
    for number in 0..count {
        let (name, call) = calls[number % calls.len()];
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut source)));
        let counts = tally.entry(name).or_default();
        counts[0] += 1;
        match outcome {
            Ok(Ok(())) => counts[1] += 1,
            Ok(Err(error)) => {
                let text = error.to_string();
                if text.is_empty() || text.contains("Exception raised") {
                    failures.push(format!("{name}, call {number}: not a sentence: {text}"));
                }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default();
                failures.push(format!("{name}, call {number}: {}", text.chars().take(300).collect::<String>()));
            }
        }
    }
    QUIET.set(false);
    for (name, [calls, fine]) in &tally {
        println!("{calls:6} calls, {fine:6} of them Ok: {name}");
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.iter().take(400).cloned().collect::<Vec<_>>().join("\n")
    );
    let fine: usize = tally.values().map(|[_, fine]| fine).sum();
    assert!(3 * fine > count, "{fine} of {count} calls are Ok");
}

#[test]
fn calls_end_with_an_error_or_with_the_right_numbers() {
    run(5_000);
}

#[test]
#[ignore = "some minutes: 100,000 calls"]
fn calls_end_with_an_error_or_with_the_right_numbers_at_length() {
    run(100_000);
}
