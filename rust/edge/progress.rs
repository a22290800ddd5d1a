//! How far each connection is, so that none can hold its place by being slow.
//!
//! A connection writes down what it is at and since when: two stores a request, no timer. Once in a while its thread looks
//! at all of them and ends those that have been at one thing for too long. A limit is therefore kept to within
//! `LOOK_EVERY`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;

use crate::api::Polled;

pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a connection can be at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Between requests; nothing of the next one is there.
    Idle,
    /// Part of a request's head is there.
    Head,
    /// The head is there, the body is being read.
    Body,
    /// The answer is being made (a parked poll) or written, and what is written is taken.
    Working,
    /// Some of the answer waits to be written, and the client has taken none since.
    Stalled,
}

impl Phase {
    /// How long a connection may be at it: a head in 5 s, a body of at most 64 KB in 10 s, an idle connection as long as
    /// nginx and browsers keep theirs, and as long as nginx's `send_timeout` halved until a client takes some more of its
    /// answer.
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Idle => Some(Duration::from_secs(75)),
            Self::Head => Some(Duration::from_secs(5)),
            Self::Body => Some(Duration::from_secs(10)),
            Self::Working => None,
            Self::Stalled => Some(Duration::from_secs(30)),
        }
    }

    fn from_bits(bits: u64) -> Self {
        [Self::Idle, Self::Head, Self::Body, Self::Working, Self::Stalled][(bits & 7) as usize]
    }
}

/// By the kernel's tick, some milliseconds apart, which is near enough and costs less than the exact time does.
fn millis() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes the one `timespec` that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

/// One connection's.
pub struct Progress {
    /// The phase in the low three bits, above them since when, in milliseconds.
    state: AtomicU64,
    expired: AtomicBool,
    /// hyper has all of the answer; the phase ends when that is written.
    over: AtomicBool,
    /// Part of the next request came before the answer was written.
    ahead: AtomicBool,
    pub task: AtomicWaker,
    /// What takes a poll's messages off their session once the first bytes of its answer have been taken by the socket.
    /// Dropped with the connection if they never are.
    uncommitted: Mutex<Option<Polled>>,
}

impl Progress {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU64::new(millis() << 3),
            expired: AtomicBool::new(false),
            over: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
            task: AtomicWaker::new(),
            uncommitted: Mutex::new(None),
        })
    }

    /// A poll's answer is going to be written.
    pub fn answering(&self, polled: Polled) {
        *self.uncommitted.lock() = Some(polled);
    }

    /// Whether an answer waits for its first bytes to be written.
    pub fn is_answering(&self) -> bool {
        self.uncommitted.lock().is_some()
    }

    /// Its first bytes were taken.
    pub fn answered(&self) {
        let polled = self.uncommitted.lock().take();
        if let Some(polled) = polled {
            polled.commit();
        }
    }

    pub fn phase(&self) -> Phase {
        Phase::from_bits(self.state.load(Ordering::Relaxed))
    }

    pub fn enter(&self, phase: Phase) {
        self.state.store(millis() << 3 | phase as u64, Ordering::Relaxed);
    }

    /// Enters `to`, but only from `from`.
    pub fn advance(&self, from: Phase, to: Phase) {
        if self.phase() == from {
            self.enter(to);
        }
    }

    /// Bytes of a request came in.
    pub fn read(&self) {
        match self.phase() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Working | Phase::Stalled => self.ahead.store(true, Ordering::Relaxed),
            Phase::Head | Phase::Body => {}
        }
    }

    /// hyper has all of the answer.
    pub fn over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// hyper has written all it had.
    pub fn written(&self) {
        if self.over.load(Ordering::Relaxed) {
            self.over.store(false, Ordering::Relaxed);
            self.enter(if self.ahead.load(Ordering::Relaxed) { Phase::Head } else { Phase::Idle });
            self.ahead.store(false, Ordering::Relaxed);
        }
    }

    pub fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }

    fn look(&self, now: u64) {
        let state = self.state.load(Ordering::Relaxed);
        let since = state >> 3;
        if Phase::from_bits(state).limit().is_some_and(|limit| now.saturating_sub(since) > limit.as_millis() as u64) {
            self.expired.store(true, Ordering::Release);
            self.task.wake();
        }
    }
}

/// All of one thread's connections.
#[derive(Default)]
pub struct Connections(Mutex<slab::Slab<Arc<Progress>>>);

impl Connections {
    pub fn add(&self, progress: Arc<Progress>) -> usize {
        self.0.lock().insert(progress)
    }

    pub fn remove(&self, place: usize) {
        self.0.lock().remove(place);
    }

    /// Ends those that have been at one thing for too long.
    pub fn look(&self) {
        let now = millis();
        self.all().iter().for_each(|progress| progress.look(now));
    }

    pub fn wake_all(&self) {
        self.all().iter().for_each(|progress| progress.task.wake());
    }

    /// A copy, so that no lock is held while a waker is called.
    fn all(&self) -> Vec<Arc<Progress>> {
        self.0.lock().iter().map(|(_, progress)| Arc::clone(progress)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Progress {
        /// Whether it would be ended after so long, if nothing happened meanwhile.
        pub fn expires_after(&self, time: Duration) -> bool {
            self.look((self.state.load(Ordering::Relaxed) >> 3) + time.as_millis() as u64);
            self.expired.swap(false, Ordering::Relaxed)
        }
    }

    #[test]
    fn each_phase_has_its_time() {
        let progress = Progress::new();
        let limits = [(Phase::Idle, 75), (Phase::Head, 5), (Phase::Body, 10), (Phase::Stalled, 30)];
        for (phase, seconds) in limits {
            progress.enter(phase);
            let limit = Duration::from_secs(seconds);
            assert!(!progress.expires_after(limit), "{phase:?}");
            assert!(progress.expires_after(limit + Duration::from_millis(1)), "{phase:?}");
        }
        progress.enter(Phase::Working);
        assert!(!progress.expires_after(Duration::from_secs(100_000)), "a poll may be held for long");
    }
}
