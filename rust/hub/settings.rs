//! The dynamic config as the hub sees it: one snapshot, replaced whole.

use super::Micros;

/// Meaning, defaults and ranges are the HTTP contract's ("Dynamic config"); whoever builds one has checked the ranges.
#[derive(Clone, Debug)]
pub struct Settings {
    pub polling_max_size: usize,
    pub polling_time: Micros,
    pub max_users_amount: usize,
    pub max_queue_size: usize,
    pub max_queue_bytes: usize,
    pub session_idle_timeout: Micros,
    pub max_sessions_amount: usize,
    pub limiter: LimiterSettings,
    pub history: HistorySettings,
}

#[derive(Clone, Copy, Debug)]
pub struct HistorySettings {
    /// Else messages are only live: delivered, and not stored.
    pub is_enabled: bool,
    /// Messages accepted and not answered.
    pub max_pending: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct LimiterSettings {
    pub is_enabled: bool,
    /// Tokens a second.
    pub refill: u32,
    /// The most tokens a bucket holds.
    pub burst: u32,
    pub idle_timeout: Micros,
}

const SECOND: Micros = 1_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            polling_max_size: 100,
            polling_time: 30 * SECOND,
            max_users_amount: 100_000,
            max_queue_size: 1_000,
            max_queue_bytes: 1_000_000,
            session_idle_timeout: 60 * SECOND,
            max_sessions_amount: 5,
            limiter: LimiterSettings { is_enabled: true, refill: 5, burst: 10, idle_timeout: 5 * SECOND },
            history: HistorySettings { is_enabled: true, max_pending: 10_000 },
        }
    }
}
