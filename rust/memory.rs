//! What the allocator keeps.

/// Gives the system back what is free. glibc keeps what many small blocks have left behind in a thread's heap until it is
/// told; it holds each heap's lock while it goes through it.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
