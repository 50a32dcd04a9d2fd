//! Memory of tensors: kept between steps, and in large pages.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use crate::platform::slices::addresses;
use tch::Tensor;

/// Asks the C library to keep the memory of large tensors that are dropped, for the next ones, as far as it can be
/// asked (glibc).
///
/// By default glibc takes each tensor of some hundred kilobytes from the kernel and hands it back at once. The kernel
/// then clears every page of the next one, and a training step of a small network spends a fifth of its time on that
/// (`benches/RESULTS.md`). It is a setting of the whole process, which therefore belongs to whoever owns the process:
/// the binaries call this first, the library never does. Memory beyond a gigabyte that is not in use still goes back.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest threshold that every glibc accepts.
        const LARGEST_KEPT: libc::c_int = 32 << 20;
        const KEPT: libc::c_int = 1 << 30;
        // SAFETY: mallopt takes two numbers, checks them, and may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
    }
}

/// Asks the kernel to hold a large tensor of the host in large pages, as far as it can be asked (Linux with glibc). A
/// step reads rows of a table that lie anywhere in it; with small pages, the processor has to look up where nearly each
/// of them is.
pub(crate) fn in_large_pages(tensor: &Tensor) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Of most processors.
        const PAGE: usize = 2 << 20;
        let bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
        if bytes < 8 * PAGE {
            return;
        }
        let Some(lies) = addresses(tensor) else { return };
        let (start, end) = (lies.start.next_multiple_of(PAGE), lies.end / PAGE * PAGE);
        // Pages to come, and those that are there already.
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
            // SAFETY: the range lies in the tensor's memory, and advice changes which pages hold it, not what is in it.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, advice) };
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = tensor;
}
