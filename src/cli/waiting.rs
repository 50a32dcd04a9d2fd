//! How libtorch's threads wait for work: briefly, so that a training leaves the cores to other processes.

/// Rounds that a thread of GNU's OpenMP looks for work before it sleeps. Its default is 300,000 of them for
/// each operation, during which it holds its core: two trainings
/// on the same cores take ten times as long as one. With this number they share them (`benches/busy.py`).
#[cfg(target_os = "linux")]
const ROUNDS: &str = "10000";

/// Starts the program again with `GOMP_SPINCOUNT`, unless that or `OMP_WAIT_POLICY` is set: OpenMP reads them once, when it is loaded, which is
/// before `main`. That costs a second loading of libtorch, some tenths of a second. The process keeps its number. Where it cannot start again, it goes on as it is.
pub(super) fn wait_briefly() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        if ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"].iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        let mut arguments = std::env::args_os();
        let mut again = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        // Only returns if it fails. The variable is set in the new program, so that it does not start yet another.
        let _ = again.args(arguments).env("GOMP_SPINCOUNT", ROUNDS).exec();
    }
}
