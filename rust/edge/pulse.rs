//! Whether the application's event loop still turns. It says so once a second; one that is silent, since a handler blocks
//! it or the interpreter is stuck, answers no probe, so the edge does it in its place, and in the end gives the process up.
//!
//! What is counted is how often nobody had spoken when the edge looked, not how long: a process that was frozen as a whole
//! (a debugger, a machine put to sleep) goes on where it was.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::progress::LOOK_EVERY;

/// Beyond this no probe should send traffic here. Five times what a beat takes, and far more than a handler may.
const SILENT_AFTER: Duration = Duration::from_secs(5);

pub struct Pulse {
    looks: AtomicU32,
    give_up_after: Duration,
}

impl Pulse {
    pub fn new(give_up_after: Duration) -> Self {
        Self { looks: AtomicU32::new(0), give_up_after }
    }

    pub fn beat(&self) {
        self.looks.store(0, Ordering::Relaxed);
    }

    /// Counts one more look. To be called every `LOOK_EVERY`, by one thread.
    pub fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    pub fn is_silent(&self) -> bool {
        self.silence() >= SILENT_AFTER
    }

    /// How long it has been silent, where that is too long to hope for more.
    pub fn given_up(&self) -> Option<Duration> {
        Some(self.silence()).filter(|silence| *silence >= self.give_up_after)
    }

    fn silence(&self) -> Duration {
        LOOK_EVERY * self.looks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_ends_the_silence() {
        let pulse = Pulse::new(Duration::from_secs(6));
        for _ in 0..10 {
            assert!(!pulse.is_silent());
            pulse.look();
        }
        assert!(pulse.is_silent() && pulse.given_up().is_none());
        pulse.look();
        pulse.look();
        assert_eq!(pulse.given_up(), Some(Duration::from_secs(6)));
        pulse.beat();
        assert!(!pulse.is_silent() && pulse.given_up().is_none());
    }
}
