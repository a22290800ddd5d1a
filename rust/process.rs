//! What is the whole process's, or a thread's as the system sees it.

use std::time::Duration;
use std::{fs, io};

/// A tenth of a core where cores are short.
const NICENESS: i32 = 10;
/// The longest that Linux knows.
const SLICE: Duration = Duration::from_millis(100);

/// Gives the system back what is free. glibc keeps what many small blocks have left behind in a thread's heap until it is
/// told; it holds each heap's lock while it goes through it.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the calling thread, which computes for milliseconds on end, step back for all others. By its niceness it gets less,
/// but what it has begun it would go on with for some milliseconds whoever else is woken; by asking for longer slices than
/// they have it is interrupted at once (Linux 6.12 and newer, else only the niceness counts).
pub fn give_way() -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: NICENESS,
        sched_priority: 0,
        sched_runtime: SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: it reads `size` bytes of what it is given, for the calling thread (0).
    let failed = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many files are open, connections included.
pub fn open_files() -> io::Result<usize> {
    // The folder is open itself while it is read.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}
