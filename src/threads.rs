//! Work on as many threads as libtorch uses, and on the same ones; and work on one.
//!
//! libtorch's threads are those of OpenMP, which keep their cores busy for a while after each operation, waiting for the next. Threads of our
//! own would have to wait for them; so the tasks are handed to OpenMP itself, through the entry point that compiled programs call, wherever
//! the process has GNU's OpenMP, as it has with libtorch for Linux. Elsewhere threads are started for the occasion.

use std::ffi::{c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Runs each task once, with its number, on libtorch's threads.
pub(crate) fn run<T: Send>(tasks: Vec<T>, task: impl Fn(usize, T) + Sync) {
    run_with(tasks, || (), |(), number, work| task(number, work));
}

/// The same, where each thread makes itself a workbench before its first task, and uses it for all of them.
pub(crate) fn run_with<B, T: Send>(
    tasks: Vec<T>,
    bench: impl Fn() -> B + Sync,
    task: impl Fn(&mut B, usize, T) + Sync,
) {
    let threads = (tch::get_num_threads().max(1) as usize).min(tasks.len());
    let queue = Mutex::new(tasks.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut bench = bench();
        while let Some((number, work)) = next() {
            task(&mut bench, number, work);
        }
    };
    if threads < 2 {
        worker();
    } else if !on_openmp(threads, &worker) {
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(worker)));
            worker();
        });
    }
}

/// `GOMP_parallel(function, data, threads, flags)`: calls the function on each thread of the team, and returns when all have returned.
type Parallel = unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);

/// A worker, and what it panicked with.
struct Team<'a> {
    worker: &'a (dyn Fn() + Sync),
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

extern "C" fn enter(data: *mut c_void) {
    // SAFETY: `on_openmp` passes its own team, which lives until all threads have returned, and is only shared.
    let team = unsafe { &*data.cast::<Team<'_>>() };
    // A panic must not unwind into OpenMP.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(team.worker)) {
        *team.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
    }
}

/// Runs a worker on each thread of OpenMP's team; false where there is no OpenMP of a known kind.
#[cfg(target_os = "linux")]
fn on_openmp(threads: usize, worker: &(dyn Fn() + Sync)) -> bool {
    use std::sync::OnceLock;
    static PARALLEL: OnceLock<Option<Parallel>> = OnceLock::new();
    let parallel = PARALLEL.get_or_init(|| {
        let process = libloading::os::unix::Library::this();
        // SAFETY: the symbol is GNU's, whose name and signature are part of the interface between GCC and its run-time library. libtorch
        // is linked to that library, which therefore stays loaded as long as the process runs.
        unsafe { process.get::<Parallel>(b"GOMP_parallel\0").ok().map(|symbol| *symbol) }
    });
    let Some(parallel) = parallel else { return false };
    let mut team = Team { worker, panic: Mutex::new(None) };
    // SAFETY: `enter` takes the team as a shared reference, for which workers are `Sync`, and the call returns after its last use.
    unsafe { parallel(enter, (&raw mut team).cast(), threads as c_uint, 0) };
    if let Some(panic) = team.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(panic);
    }
    true
}

#[cfg(not(target_os = "linux"))]
fn on_openmp(_threads: usize, _worker: &(dyn Fn() + Sync)) -> bool {
    false
}

/// `MKL_Set_Num_Threads_Local(threads)`: for products that the calling thread asks for, and what it was before; 0 is libtorch's number.
type SetThreads = unsafe extern "C" fn(c_int) -> c_int;

/// While it lives, MKL, which multiplies matrices for libtorch on x86, does so on the thread that made it, alone. Of small matrices it takes other kernels on two
/// threads than on one, whose sums have another order; everything else that libtorch's layers need can be summed in an order that no thread changes.
pub(crate) struct ProductsOnOneThread {
    set: Option<(SetThreads, c_int)>,
    /// The number is the thread's own, and has to be set back on it.
    not_send: PhantomData<*const ()>,
}

impl ProductsOnOneThread {
    pub fn new() -> Self {
        // SAFETY: the function takes and returns a number, and has no other effect than its name says.
        let set = multiplying_threads().map(|set| (set, unsafe { set(1) }));
        Self { set, not_send: PhantomData }
    }
}

impl Drop for ProductsOnOneThread {
    fn drop(&mut self) {
        if let Some((set, before)) = self.set {
            // SAFETY: as above.
            unsafe { set(before) };
        }
    }
}

/// MKL's function, where libtorch has MKL.
#[cfg(target_os = "linux")]
fn multiplying_threads() -> Option<SetThreads> {
    use std::sync::OnceLock;
    static SET: OnceLock<Option<SetThreads>> = OnceLock::new();
    *SET.get_or_init(|| {
        let process = libloading::os::unix::Library::this();
        // SAFETY: the symbol is MKL's, whose name and signature are documented. It is part of libtorch, which stays loaded as long as the process runs.
        unsafe { process.get::<SetThreads>(b"MKL_Set_Num_Threads_Local\0").ok().map(|symbol| *symbol) }
    })
}

#[cfg(not(target_os = "linux"))]
fn multiplying_threads() -> Option<SetThreads> {
    None
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::sync::Mutex;

    #[test]
    fn every_task_runs_once_and_a_panic_comes_back() {
        for count in [0, 1, 2, 100] {
            let seen = Mutex::new(vec![0; count]);
            run((0..count).collect(), |number, task| {
                assert_eq!(number, task);
                seen.lock().unwrap()[number] += 1;
            });
            assert_eq!(seen.into_inner().unwrap(), vec![1; count]);
        }
        let outcome = std::panic::catch_unwind(|| run(vec![1, 2, 3, 4], |_, task| assert!(task < 3, "as it should")));
        assert!(outcome.is_err());
    }
}
