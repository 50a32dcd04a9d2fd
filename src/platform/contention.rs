//! Shorter spinning of OpenMP's threads while other processes need the same cores.
//!
//! GNU's OpenMP reads its spin count once, at its start. Its manual has one exception: while it manages more
//! threads than there are processors, it spins at most 100 to 1,000 times (`GOMP_SPINCOUNT` in the manual of libgomp).
//! This module uses that as a switch: a thread runs an empty parallel region with more threads than processors, and
//! their team sleeps as long as the thread lives. Results do not depend on it.
//!
//! The cores are crowded if the main thread, ready to run, has to wait for a core. Linux counts this time in
//! `/proc/self/schedstat`; without that file, nothing is done.

use super::threads;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The interval between two readings of the waiting time. It is long enough that the scheduler's own noise stays well
/// below [`CROWDED`].
const INTERVAL: Duration = Duration::from_millis(200);

/// The share of time that a ready thread waits for a core above which the cores count as crowded.
const CROWDED: f64 = 0.1;

/// How long the team is kept after the cores were last crowded, so that it is not started too often.
const KEPT: Duration = Duration::from_secs(2);

/// Watches the cores in the background until the process ends. Called only if
/// [`threads_wait_briefly!`](crate::threads_wait_briefly) set the spin count of 10,000: a user's own setting stays in
/// force.
pub(crate) fn watch_for_other_processes() {
    if waited().is_some() {
        // Without another thread, the program only runs slower.
        let _ = std::thread::Builder::new().name("contention".into()).spawn(watch);
    }
}

/// Reads the waiting time at intervals, and keeps a sleeping team while the cores are crowded.
fn watch() {
    let mut team: Option<(Sender<()>, Instant)> = None;
    let (mut last, mut read) = (waited(), Instant::now());
    loop {
        std::thread::sleep(INTERVAL);
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

/// Returns how long the main thread has waited for a core since it started; `None` if the system does not count it.
fn waited() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// Starts a team with one thread more than there are processors, on a thread that sleeps until the handle is dropped.
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

    /// Counts the threads of this process with the given name.
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

    /// The team has more threads than there are processors, all with the name of the thread that started them, and ends
    /// with its handle.
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
