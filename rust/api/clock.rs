//! The one clock that sessions, limiters and tokens are judged by.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::hub::Micros;

/// The machine's clock, and how far tests have shifted it.
#[derive(Debug, Default)]
pub struct Clock {
    offset: AtomicI64,
}

impl Clock {
    pub fn now(&self) -> Micros {
        Self::machine().saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// The machine's own time: that of messages, which outlive a test's shift.
    pub fn machine() -> Micros {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The cast holds until the year 294,000.
        since_epoch.as_micros() as Micros
    }

    pub fn set_offset(&self, offset: Micros) {
        self.offset.store(offset, Ordering::Relaxed);
    }
}
