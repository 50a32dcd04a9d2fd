//! Memory of tensors, kept between steps.

/// Asks the C library to keep the memory of large tensors that are dropped, for the next ones, as far as it can be asked (glibc).
///
/// By default glibc takes each tensor of some hundred kilobytes from the kernel and hands it back at once. The kernel then clears every page of the next one, and a training step
/// of a small network spends a fifth of its time on that (`benches/RESULTS.md`). It is a setting of the whole process, which therefore belongs to
/// whoever owns the process: the binaries call this first, the library never does. Memory beyond a gigabyte that is not in use still goes back.
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
