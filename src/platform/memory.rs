//! The memory of tensors: kept between steps, and in large pages.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use crate::platform::slices::addresses;
use tch::Tensor;

/// Lets the C library keep the memory of dropped tensors for new ones (on Linux with glibc; elsewhere it does nothing).
///
/// By default, glibc gets each tensor above some hundred kilobytes from the kernel and returns it at once. The kernel
/// then clears every page of the next one, which takes a large part of the time of small networks
/// (`benches/RESULTS.md`). The setting is for the whole process: programs call this first, the library never does.
/// Unused memory beyond a gigabyte is still returned.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest size of a kept tensor, in bytes: the largest threshold that every glibc accepts.
        const LARGEST_KEPT: libc::c_int = 32 << 20;
        /// The most unused memory that is kept, in bytes.
        const MOST_KEPT: libc::c_int = 1 << 30;
        // SAFETY: mallopt takes two numbers, checks them, and may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_KEPT);
        }
    }
}

/// Asks the kernel to hold a large tensor on the CPU in large pages (on Linux with glibc; elsewhere it does nothing).
/// Training steps read scattered rows of a table; with small pages, nearly each of them would need its own address
/// translation.
pub(crate) fn in_large_pages(tensor: &Tensor) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The size of a large page on most CPUs, in bytes.
        const PAGE: usize = 2 << 20;
        let bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
        if bytes < 8 * PAGE {
            return;
        }
        let Some(range) = addresses(tensor) else { return };
        let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        // The first advice is for pages not yet in use, the second for the others.
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
            // SAFETY: the range lies in the tensor's memory, and the advice changes its pages, not its content.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, advice) };
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = tensor;
}
