//! Tasks on libtorch's own threads, and libtorch's work on a single thread.
//!
//! libtorch uses OpenMP's threads, which keep their cores busy for a while after each operation, waiting for
//! the next. Other threads would have to wait for these cores. So tasks run on OpenMP's threads, through the
//! entry point that compiled programs call, if the process has GNU's OpenMP, as with libtorch for Linux.
//! Otherwise new threads are started for each call.
//!
//! Spinning threads slow down other processes far more than they gain. The environment variable
//! `GOMP_SPINCOUNT=10000` makes them sleep soon. It must be set before the process starts, so the programs restart
//! themselves with it (`src/cli/waiting.rs`).

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Runs each task once, with its index, on libtorch's threads.
pub(crate) fn run<T: Send>(tasks: Vec<T>, task: impl Fn(usize, T) + Sync) {
    run_with(tasks, || (), |(), number, work| task(number, work));
}

/// Runs each task once, with its index, on libtorch's threads. Each thread makes its `scratch` memory before its first
/// task, and uses it for all of them.
pub(crate) fn run_with<B, T: Send>(
    tasks: Vec<T>,
    scratch: impl Fn() -> B + Sync,
    task: impl Fn(&mut B, usize, T) + Sync,
) {
    let threads = TASK_THREADS.get().unwrap_or_else(|| tch::get_num_threads().max(1) as usize).min(tasks.len());
    let queue = Mutex::new(tasks.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut scratch = scratch();
        while let Some((number, work)) = next() {
            task(&mut scratch, number, work);
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

/// `GOMP_parallel(function, data, threads, flags)`: calls the function on each thread of the team, and returns when all
/// calls have returned.
type Parallel = unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);

/// The worker that each thread runs, and the payload of its panic.
struct Team<'a> {
    worker: &'a (dyn Fn() + Sync),
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

/// Runs the worker of a [`Team`], on one of OpenMP's threads.
extern "C" fn enter(data: *mut c_void) {
    // SAFETY: `on_openmp` passes its own team, which lives until all threads have returned, and is only shared.
    let team = unsafe { &*data.cast::<Team<'_>>() };
    // A panic must not unwind into OpenMP.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(team.worker)) {
        *team.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
    }
}

/// Runs a worker on each thread of OpenMP's team; returns false if GNU's OpenMP is not loaded.
#[cfg(target_os = "linux")]
fn on_openmp(threads: usize, worker: &(dyn Fn() + Sync)) -> bool {
    static PARALLEL: OnceLock<Option<Parallel>> = OnceLock::new();
    // SAFETY: the symbol is GNU's, whose name and signature are part of the interface between GCC and its run-time
    // library.
    let Some(parallel) = PARALLEL.get_or_init(|| unsafe { loaded(b"GOMP_parallel\0") }) else { return false };
    let mut team = Team { worker, panic: Mutex::new(None) };
    // SAFETY: `enter` takes the team as a shared reference, for which workers are `Sync`, and the call returns after
    // its last use.
    unsafe { parallel(enter, (&raw mut team).cast(), threads as c_uint, 0) };
    if let Some(panic) = team.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(panic);
    }
    true
}

/// Runs an empty parallel region with one thread more than there are processors; returns false if GNU's OpenMP is not
/// loaded. The team sleeps until the calling thread ends.
#[cfg(feature = "cli")]
pub(crate) fn start_team() -> bool {
    // SAFETY: the symbol is part of the OpenMP standard: `int omp_get_num_procs(void)`.
    let Some(processors) = (unsafe { loaded::<unsafe extern "C" fn() -> c_int>(b"omp_get_num_procs\0") }) else {
        return false;
    };
    // SAFETY: the function takes nothing, and returns a number.
    let processors = usize::try_from(unsafe { processors() }).unwrap_or(0);
    on_openmp(processors + 1, &|| ())
}

#[cfg(not(target_os = "linux"))]
fn on_openmp(_threads: usize, _worker: &(dyn Fn() + Sync)) -> bool {
    false
}

thread_local! {
    /// The number of threads for tasks while libtorch works on one; `None` if it is libtorch's number.
    static TASK_THREADS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A guard: until it is dropped, libtorch works on this thread alone, while tasks of [`run`] are shared by as many
/// threads as before.
///
/// Results of libtorch's kernels depend on the number of threads: parts of a tensor may round differently at their
/// ends, sums of parts have another order, and MKL uses other kernels for small matrices on two threads. Tasks of
/// [`run`] do not depend on the number of threads.
pub(crate) struct LibtorchOnOneThread {
    /// The previous numbers: libtorch's, the one for tasks, and MKL's.
    before: (c_int, Option<usize>, Option<c_int>),
    /// The numbers belong to the thread, so they must be restored on it.
    not_send: PhantomData<*const ()>,
}

impl LibtorchOnOneThread {
    pub fn new() -> Self {
        // On a thread without previous work, reading the number lets libtorch choose it.
        let threads = tch::get_num_threads().max(1);
        let for_tasks = TASK_THREADS.get();
        TASK_THREADS.set(Some(for_tasks.unwrap_or(threads as usize)));
        set_openmp(1);
        Self { before: (threads, for_tasks, set_mkl(1)), not_send: PhantomData }
    }
}

impl Drop for LibtorchOnOneThread {
    fn drop(&mut self) {
        let (threads, for_tasks, mkl_threads) = self.before;
        TASK_THREADS.set(for_tasks);
        set_openmp(threads);
        if let Some(threads) = mkl_threads {
            set_mkl(threads);
        }
    }
}

/// Sets the calling thread's number of threads for OpenMP, which libtorch uses. (`tch::set_num_threads` would also
/// change the default of other threads, and restart libtorch's thread pools.)
fn set_openmp(threads: c_int) {
    static SET: OnceLock<Option<SetOpenMp>> = OnceLock::new();
    // SAFETY: the symbol is part of the OpenMP standard: `void omp_set_num_threads(int)`.
    match SET.get_or_init(|| unsafe { loaded(b"omp_set_num_threads\0") }) {
        // SAFETY: the function takes a positive number, and has no other effect than its name says.
        Some(set) => unsafe { set(threads) },
        None => tch::set_num_threads(threads),
    }
}

type SetOpenMp = unsafe extern "C" fn(c_int);

/// Sets the calling thread's number of threads for MKL, which multiplies matrices for libtorch on x86. Returns the
/// previous number (0 means OpenMP's number); `None` if libtorch has no MKL.
fn set_mkl(threads: c_int) -> Option<c_int> {
    static SET: OnceLock<Option<SetMkl>> = OnceLock::new();
    // SAFETY: the symbol is documented by MKL: `int MKL_Set_Num_Threads_Local(int)`.
    let set = (*SET.get_or_init(|| unsafe { loaded(b"MKL_Set_Num_Threads_Local\0") }))?;
    // SAFETY: the function takes and returns a number, and has no other effect than its name says.
    Some(unsafe { set(threads) })
}

type SetMkl = unsafe extern "C" fn(c_int) -> c_int;

/// Returns a function of a library that libtorch is linked to, and which therefore stays loaded as long as the process.
///
/// # Safety
/// `F` must be the type of a function pointer that matches the symbol.
#[cfg(unix)]
unsafe fn loaded<F: Copy>(symbol: &[u8]) -> Option<F> {
    let process = libloading::os::unix::Library::this();
    // SAFETY: the caller guarantees the type.
    unsafe { process.get::<F>(symbol).ok().map(|symbol| *symbol) }
}

#[cfg(not(unix))]
unsafe fn loaded<F: Copy>(_symbol: &[u8]) -> Option<F> {
    None
}

#[cfg(test)]
mod tests {
    use super::{LibtorchOnOneThread, run};
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};

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

    /// On a thread of its own, since the numbers are a thread's. Two tasks that wait for each other need two threads.
    #[test]
    fn libtorch_works_on_one_thread_while_tasks_have_two() {
        let two_threads = || {
            let (meeting, seen) = (Barrier::new(2), Mutex::new(HashSet::new()));
            run(vec![(), ()], |_, ()| {
                meeting.wait();
                seen.lock().unwrap().insert(std::thread::current().id());
            });
            assert_eq!(seen.into_inner().unwrap().len(), 2);
        };
        std::thread::spawn(move || {
            tch::get_num_threads();
            super::set_openmp(2);
            let panic = std::panic::catch_unwind(|| {
                let _guard = LibtorchOnOneThread::new();
                let _inner = LibtorchOnOneThread::new();
                assert_eq!(tch::get_num_threads(), 1);
                two_threads();
                panic!("the guard sets the numbers back");
            });
            assert!(panic.is_err());
            assert_eq!(tch::get_num_threads(), 2);
            two_threads();
        })
        .join()
        .unwrap();
    }
}
