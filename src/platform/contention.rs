//! Threads that wait more briefly still while other processes want the same cores.
//!
//! How long GNU's OpenMP spins is read once, at its start. Its manual names one exception: while it manages more
//! threads than there are processors, it spins 100 to 1,000 times at most (`GOMP_SPINCOUNT` in the manual of libgomp).
//! So this is the switch: a thread that has run an empty parallel region keeps that region's team, asleep, for as long
//! as it lives. Nothing else changes, no result depends on it.
//!
//! Cores are crowded when the main thread, ready to run, has to wait for a core. Linux counts this time in
//! `/proc/self/schedstat`; where the file is missing, nothing is watched.

use super::threads;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How often the time of waiting is read. In a twentieth of a second, a training that is alone can wait 8 % of the
/// time; in this, 2 %.
const EVERY: Duration = Duration::from_millis(200);

/// The share of time that a ready thread waits for a core, above which the cores are crowded.
const CROWDED: f64 = 0.1;

/// How long the team is kept after the cores were last crowded: starting it costs a fraction of a millisecond.
const KEPT: Duration = Duration::from_secs(2);

/// Watches from here on, in the background, until the process ends. Only where threads wait for 10,000 looks, as
/// [`threads_wait_briefly!`](crate::threads_wait_briefly) asks: a user's own setting stays.
pub(crate) fn watch_for_other_processes() {
    if waited().is_some() {
        // A machine that cannot start one more thread has no use for it either.
        let _ = std::thread::Builder::new().name("contention".into()).spawn(watch);
    }
}

fn watch() {
    let mut team: Option<(Sender<()>, Instant)> = None;
    let (mut last, mut read) = (waited(), Instant::now());
    loop {
        std::thread::sleep(EVERY);
        let (Some(before), Some(now)) = (last, waited()) else { return };
        let share = now.saturating_sub(before).as_secs_f64() / read.elapsed().as_secs_f64();
        (last, read) = (Some(now), Instant::now());
        if share > CROWDED {
            let handle = team.take().map(|(handle, _)| handle).or_else(sleeping_team);
            team = handle.map(|handle| (handle, Instant::now()));
        } else if team.as_ref().is_some_and(|(_, since)| since.elapsed() > KEPT) {
            team = None;
        }
    }
}

/// How long the main thread has waited for a core, ready to run, since it started.
fn waited() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// A team of as many threads as there are processors, on a thread that sleeps until the handle is dropped.
fn sleeping_team() -> Option<Sender<()>> {
    let (handle, dropped) = channel::<()>();
    let team = move || {
        if threads::start_team() {
            let _ = dropped.recv();
        }
    };
    std::thread::Builder::new().name("more than processors".into()).spawn(team).ok()?;
    Some(handle)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    /// Threads that have a name, in this process.
    fn named(name: &str) -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|found| name.starts_with(found.trim_end()) && !found.trim_end().is_empty()).count()
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The team has more threads than there are processors, all named after the one that started them, and ends with
    /// its handle.
    #[test]
    fn a_team_sleeps_as_long_as_its_handle_lives() {
        tch::get_num_threads();
        let processors = std::thread::available_parallelism().unwrap().get();
        let handle = super::sleeping_team().unwrap();
        until("a team of more threads than processors", || named("more than processors") > processors);
        drop(handle);
        until("no team", || named("more than processors") == 0);
    }

    #[test]
    fn waiting_for_a_core_is_counted() {
        // Some kernels do not count it.
        if let Some(before) = super::waited() {
            assert!(super::waited().unwrap() >= before);
        }
    }
}
