//! What is the whole process's.

use std::{fs, io};

/// Gives the system back what is free. glibc keeps what many small blocks have left behind in a thread's heap until it is
/// told; it holds each heap's lock while it goes through it.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How many files are open, connections included.
pub fn open_files() -> io::Result<usize> {
    // The folder is open itself while it is read.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}
