//! A batch through the one-pass sampler: tasks for the threads, lane blocks for the vectors, results straight into
//! tensors.

use super::block::{Outcome, Place};
use super::kernel::{FamilyKernel, LogitsKernel, Scratch};
use super::prior::Prior;
use crate::error::Result;
use crate::math::lanes::{LANES, Real};
use crate::platform::threads;
use crate::recurrences::LaneBlock;
use crate::recurrences::LawBatch;
use crate::relaxation::Pathwise;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::{Device, Tensor};

/// Latents that one task of the thread pool draws.
const A_TASK: usize = 512;

/// Atoms of a batch below which the calling thread draws alone: a tenth of a millisecond, some times what waking the
/// others takes.
const WORTH_THREADS: usize = 10_000;

/// What all latents of a batch share.
pub(super) struct Batch<'a> {
    pub place: Place,
    pub how: Pathwise,
    pub count: usize,
    pub windows: Windows<'a>,
    pub prior: Option<Prior>,
}

/// The windows of a batch.
pub(super) enum Windows<'a> {
    Shared((i64, i64)),
    Own(&'a [(i64, i64)]),
}

impl Batch<'_> {
    /// Gives the latents of a block their windows, and the prior in them.
    fn open(&self, lanes: &mut LaneBlock) {
        match self.windows {
            Windows::Shared(window) => lanes.open(|_| window),
            Windows::Own(windows) => lanes.open(|latent| windows[latent]),
        }
        if let Some(prior) = &self.prior {
            prior.fill(lanes);
        }
    }

    /// What a thread works with: a lane block, which has its windows already where all latents share one, and room for
    /// its weights.
    fn bench<T: Real>(&self) -> (LaneBlock, Scratch<T>) {
        let mut lanes = LaneBlock::new(self.prior.is_some() && matches!(self.how, Pathwise::Relaxed { .. }));
        if matches!(self.windows, Windows::Shared(_)) {
            self.open(&mut lanes);
        }
        (lanes, Scratch::new())
    }

    /// Columns `z`, the KL if there is a prior, then for each parameter the derivatives of both; nothing where some
    /// law's tail has too many terms to be summed.
    pub fn of_family<T: Real>(&self, rows: &dyn LawBatch, parameters: usize) -> Result<Option<Vec<Tensor>>> {
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let columns = kinds * (1 + parameters);
        let mut tensors = zeros::<T>(&vec![self.count; columns])?;
        let atoms = match self.windows {
            Windows::Shared((lo, hi)) => self.count * (hi - lo + 1) as usize,
            Windows::Own(windows) => windows.iter().map(|(lo, hi)| (hi - lo + 1) as usize).sum(),
        };
        let tasks = split(&mut tensors, &vec![A_TASK; columns]);
        let bench = || self.bench::<T>();
        let is_served = AtomicBool::new(true);
        share(tasks, atoms, bench, |(lanes, scratch), task, mut columns: Vec<&mut [T]>| {
            let first = task * A_TASK;
            let mut latents: Vec<usize> = (first..first + columns[0].len()).collect();
            if let Windows::Own(windows) = self.windows {
                // The lanes of a block walk together, as far as the longest.
                latents.sort_by_key(|&latent| windows[latent].1 - windows[latent].0);
            }
            for latents in latents.chunks(LANES) {
                lanes.place(latents);
                if let Windows::Own(_) = self.windows {
                    self.open(lanes);
                }
                if !is_served.load(Ordering::Relaxed) {
                    return;
                }
                let is_finite_order = matches!(self.how, Pathwise::FiniteOrder(_));
                let has_weights = is_finite_order && rows.fill_weights(lanes, T::PRECISION, self.place.with_kl);
                if !has_weights && !rows.fill(lanes, T::PRECISION) {
                    is_served.store(false, Ordering::Relaxed);
                    return;
                }
                let outcome = pulp::Arch::new().dispatch(FamilyKernel {
                    place: self.place,
                    how: self.how,
                    lanes,
                    scratch,
                    parameters,
                    has_weights,
                });
                let wanted = outcome.iter().step_by(3 - kinds);
                for (column, values) in columns.iter_mut().zip(wanted) {
                    match self.windows {
                        Windows::Shared(_) => {
                            column[latents[0] - first..][..latents.len()].copy_from_slice(&values[..latents.len()]);
                        }
                        Windows::Own(_) => {
                            for (&latent, &value) in latents.iter().zip(values) {
                                column[latent - first] = value;
                            }
                        }
                    }
                }
            }
        });
        Ok(is_served.into_inner().then_some(tensors))
    }

    /// Columns `z`, the derivatives of `z` in each logit, and the same for the KL if there is a prior.
    pub fn of_logits<T: Real>(&self, logits: &Tensor, n: usize) -> Result<Vec<Tensor>> {
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let values = Vec::<T>::try_from(logits.detach().reshape([-1]))?;
        let pair = |one: usize| [one, one * n].repeat(kinds);
        let mut tensors = zeros::<T>(&pair(self.count))?;
        let tasks = split(&mut tensors, &pair(A_TASK));
        let bench = || self.bench::<T>();
        share(tasks, self.count * n, bench, |(lanes, scratch), task, mut columns: Vec<&mut [T]>| {
            let first = task * A_TASK;
            let latents: Vec<usize> = (first..first + columns[0].len()).collect();
            for (t, latents) in latents.chunks(LANES).enumerate() {
                lanes.place(latents);
                let at = |first: usize| first * n..(first + latents.len()) * n;
                let (z, rest) = columns.split_at_mut(2);
                let kl_slopes = rest.get_mut(1).map_or(&mut [][..], |slopes| &mut slopes[at(t * LANES)]);
                let outcome: Outcome<T> = pulp::Arch::new().dispatch(LogitsKernel {
                    place: self.place,
                    how: self.how,
                    lanes,
                    scratch,
                    logits: &values[at(latents[0])],
                    slopes: &mut z[1][at(t * LANES)],
                    kl_slopes,
                });
                for (column, values) in columns.iter_mut().step_by(2).zip(&outcome) {
                    column[t * LANES..][..latents.len()].copy_from_slice(&values[..latents.len()]);
                }
            }
        });
        Ok(tensors)
    }
}

/// One dimensional tensors of zeros on the CPU.
pub(super) fn zeros<T: Real>(sizes: &[usize]) -> Result<Vec<Tensor>> {
    let zeros = |&size: &usize| Ok(Tensor::f_zeros([size as i64], (T::KIND, Device::Cpu))?);
    sizes.iter().map(zeros).collect()
}

/// The numbers of each tensor in parts of the given sizes: the first part of each, then the second of each, and so on.
pub(super) fn split<'a, T: Real>(tensors: &'a mut [Tensor], sizes: &[usize]) -> Vec<Vec<&'a mut [T]>> {
    let mut tasks = Vec::new();
    // Each was made by `zeros`, for this kind, and shares its memory with no other.
    for (tensor, &size) in tensors.iter_mut().zip(sizes) {
        let numbers = crate::platform::slices::write::<T>(tensor).unwrap_or_default();
        for (i, part) in numbers.chunks_mut(size.max(1)).enumerate() {
            if tasks.len() == i {
                tasks.push(Vec::with_capacity(sizes.len()));
            }
            tasks[i].push(part);
        }
    }
    tasks
}

/// Runs the tasks of a batch with this many atoms: on libtorch's threads, if it is worth waking them.
fn share<B, T: Send>(
    tasks: Vec<T>,
    atoms: usize,
    bench: impl Fn() -> B + Sync,
    task: impl Fn(&mut B, usize, T) + Sync,
) {
    if atoms < WORTH_THREADS {
        let mut bench = bench();
        tasks.into_iter().enumerate().for_each(|(number, work)| task(&mut bench, number, work));
    } else {
        threads::run_with(tasks, bench, task);
    }
}
