//! A second signal that asks the process to stop ends it at once, also where the event loop hangs.
//!
//! Python runs its handlers on the main thread, between two steps of the interpreter: never, where that thread is stuck.
//! So a handler of the system's own stands before Python's. It may interrupt whatever a thread is at, a lock held
//! included, so it keeps to atomics and to what POSIX calls async-signal-safe.

use std::mem::{transmute, zeroed};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{io, ptr};

use libc::{c_int, pid_t};

const LINE: &[u8] = b"pychat: asked to stop a second time: ending at once\n";

/// A first signal has come.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Python's handlers, of SIGTERM and SIGINT.
static NEXT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
/// Whom to tell of the end: a process group, and in the low byte the signal that it gets. 0 for nobody.
static FOLLOWER: AtomicUsize = AtomicUsize::new(0);

/// Puts itself before the handlers of SIGTERM and SIGINT, which are the first signal's.
///
/// # Errors
/// One of them has no handler of the plain kind.
pub fn end_at_second() -> io::Result<()> {
    ASKED.store(false, Ordering::SeqCst);
    for (next, number) in NEXT.iter().zip([libc::SIGTERM, libc::SIGINT]) {
        // SAFETY: all zero is a value of it, and it is written whole before it is read.
        let mut action: libc::sigaction = unsafe { zeroed() };
        // SAFETY: it writes the one action that it is given.
        unsafe { libc::sigaction(number, ptr::null(), &raw mut action) };
        let found = action.sa_sigaction;
        if found == on_signal as *const () as usize {
            continue;
        }
        if found == libc::SIG_DFL || found == libc::SIG_IGN || action.sa_flags & libc::SA_SIGINFO != 0 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no handler to stand before"));
        }
        next.store(found, Ordering::SeqCst);
        action.sa_sigaction = on_signal as *const () as usize;
        // SAFETY: `on_signal` is of the kind that the flags, which are the old handler's, ask for.
        unsafe { libc::sigaction(number, &raw const action, ptr::null_mut()) };
    }
    Ok(())
}

/// Has a process group get the signal `number` when the process ends by a second one; 0 for none.
pub fn end_along(group: u32, number: u8) {
    FOLLOWER.store((group as usize) << 8 | usize::from(number), Ordering::SeqCst);
}

extern "C" fn on_signal(number: c_int) {
    if ASKED.swap(true, Ordering::SeqCst) {
        end(number);
    }
    let next = NEXT[usize::from(number == libc::SIGINT)].load(Ordering::SeqCst);
    // SAFETY: it was found to be a handler of this kind, and stored before this one could be called.
    let next: extern "C" fn(c_int) = unsafe { transmute(next) };
    next(number);
}

fn end(number: c_int) -> ! {
    let follower = FOLLOWER.load(Ordering::SeqCst);
    let mut log = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: all are async-signal-safe, and given what they are told of.
    unsafe {
        if follower != 0 {
            libc::kill(-((follower >> 8) as pid_t), (follower & 0xff) as c_int);
        }
        // A log that is not read may be what the event loop waits for.
        if libc::poll(&raw mut log, 1, 0) == 1 && log.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len());
        }
        libc::_exit(128 + number)
    }
}
