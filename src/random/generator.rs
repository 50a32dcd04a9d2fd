//! libtorch's generator, one for the whole process: locked by one thread at a time, seeded, and released.
//!
//! This library locks the generator for all draws under a seed of its own. So two trainings in two threads of a process
//! wait for each other's steps, and each reproduces the bits that it would have alone. Noise by
//! [`NoiseKey`](super::NoiseKey) does not use the generator.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

static GENERATOR: Mutex<()> = Mutex::new(());

thread_local! {
    /// The number of [`Held`] guards that this thread has.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A guard: libtorch's generator belongs to this thread until the guard is dropped.
#[must_use = "the generator is given back when this is dropped"]
#[derive(Debug)]
pub struct Held {
    /// For the first guard of a thread: the lock, and the seed that the generator gets when the guard is dropped.
    first: Option<(MutexGuard<'static, ()>, i64)>,
    /// Keeps the guard on its thread, whose depth it counts.
    thread: PhantomData<*const ()>,
}

/// Waits until no other thread holds libtorch's generator, and holds it until the guard is dropped. A thread that
/// already holds it does not wait.
///
/// Threads that draw without a guard are not stopped. When the first guard of a thread is dropped, the generator is
/// seeded with a number that it drew at the beginning: so later draws of the program depend on its own seed, and not on
/// the draws under the guard.
pub fn hold() -> Held {
    let depth = DEPTH.get();
    let first = (depth == 0).then(|| {
        let lock = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        // tch has no access to the generator's state, so a seed stands for it.
        let next = Tensor::empty([1], (Kind::Int64, Device::Cpu)).random_().int64_value(&[0]);
        (lock, next)
    });
    DEPTH.set(depth + 1);
    Held { first, thread: PhantomData }
}

/// Holds the generator as [`hold`] does, and seeds it.
///
/// ```
/// use gengs::random::seeded;
/// use tch::{Device, Kind, Tensor};
///
/// let draw = || {
///     let _generator = seeded(7);
///     Vec::<f32>::try_from(Tensor::rand([3], (Kind::Float, Device::Cpu)))
/// };
/// assert_eq!(draw()?, draw()?);
/// # Ok::<(), tch::TchError>(())
/// ```
pub fn seeded(seed: i64) -> Held {
    let held = hold();
    tch::manual_seed(seed);
    held
}

impl Drop for Held {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if let Some((_, next)) = self.first {
            tch::manual_seed(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn number() -> f64 {
        Tensor::rand([1], (Kind::Double, Device::Cpu)).double_value(&[0])
    }

    /// Two numbers with time between them for others to draw, and a nested seed.
    fn draws(seed: i64) -> [f64; 3] {
        let _generator = seeded(seed);
        let first = number();
        std::thread::sleep(Duration::from_millis(5));
        let second = number();
        let _again = seeded(seed + 100);
        [first, second, number()]
    }

    #[test]
    fn each_thread_draws_what_it_draws_alone() {
        let alone = [draws(1), draws(2)];
        let found = std::thread::scope(|scope| {
            [1, 2].map(|seed| scope.spawn(move || (0..5).map(|_| draws(seed)).collect::<Vec<_>>())).map(|t| t.join())
        });
        for (found, alone) in found.into_iter().zip(alone) {
            assert!(found.unwrap().into_iter().all(|found| found == alone));
        }
    }

    #[test]
    fn what_is_drawn_afterwards_follows_from_the_seed_before() {
        let after = |inner: i64| {
            let _outer = seeded(5);
            // Without a lock, on which no test can rely: the outermost guard takes its next seed from the generator.
            let next = Tensor::empty([1], (Kind::Int64, Device::Cpu)).random_().int64_value(&[0]);
            tch::manual_seed(inner);
            let _ = number();
            tch::manual_seed(next);
            number()
        };
        assert_eq!(after(1), after(2));
        assert!(
            std::panic::catch_unwind(|| {
                let _generator = seeded(3);
                panic!("a panic while it is held");
            })
            .is_err()
        );
        assert_eq!(DEPTH.get(), 0);
        assert_eq!(draws(4), draws(4));
    }
}
