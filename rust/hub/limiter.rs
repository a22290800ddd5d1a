//! A token bucket a sender.
//!
//! # Idea
//!
//! A bucket is a level and the instant it was true of; what has been refilled since is worked out when somebody draws.
//! So nothing runs by time, and an unused bucket costs nothing but its memory, which a sweep takes back.
//!
//! # Invariants
//!
//! - In any stretch of time a sender gets the burst and what the stretch refills, at most; a clock that jumps back
//!   refills nothing.
//! - A bucket is removed only when it is full: to its sender it makes no difference whether it is there.
//! - It is drawn from under its shard's lock and removed under the write lock, judged again there: one that is being
//!   removed cannot be drawn from.
//!
//! # Orderings
//!
//! Locks alone. Who draws holds the shard's read lock and the bucket's own, always in this order; a sender's first
//! message takes the write lock instead. The bucket's lock is a sender's own: only its own sends, and the sweep, meet
//! there.

use super::settings::LimiterSettings;
use super::{Micros, UserId};
use crate::structures::ShardedMap;
use crate::sync::Mutex;

/// Tokens are counted in millionths: a rate of `r` tokens a second is then `r` millionths a microsecond.
const TOKEN: i64 = 1_000_000;

/// The sender has used up its rate.
#[derive(Debug, PartialEq, Eq)]
pub struct OverRate {
    /// Seconds until there is a token again, rounded up.
    pub retry_after: u32,
}

#[derive(Debug)]
struct Bucket {
    level: i64,
    at: Micros,
}

impl Bucket {
    /// The tokens there are at `now`. A clock that was set back refills nothing.
    fn level(&self, now: Micros, settings: &LimiterSettings) -> i64 {
        let elapsed = now.saturating_sub(self.at).max(0);
        let refilled = self.level.saturating_add(elapsed.saturating_mul(i64::from(settings.refill)));
        refilled.min(i64::from(settings.burst) * TOKEN)
    }

    fn take(&mut self, now: Micros, settings: &LimiterSettings) -> Result<(), OverRate> {
        self.level = self.level(now, settings);
        self.at = now;
        if self.level < TOKEN {
            let missing = (TOKEN - self.level) as u64;
            let seconds = missing.div_ceil(u64::from(settings.refill.max(1)) * TOKEN as u64);
            return Err(OverRate { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX) });
        }
        self.level -= TOKEN;
        Ok(())
    }

    /// Unused for `idle_timeout` and full again, so that removing it changes nothing for its sender.
    fn is_idle(&self, now: Micros, settings: &LimiterSettings) -> bool {
        now.saturating_sub(self.at) >= settings.idle_timeout
            && self.level(now, settings) >= i64::from(settings.burst) * TOKEN
    }
}

/// The buckets of all who sent lately.
pub struct Limiter {
    buckets: ShardedMap<UserId, Mutex<Bucket>>,
}

impl Limiter {
    pub fn new(shards: usize) -> Self {
        Self { buckets: ShardedMap::new(shards) }
    }

    /// Takes one token of the user's.
    pub fn take(&self, user: UserId, now: Micros, settings: &LimiterSettings) -> Result<(), OverRate> {
        if !settings.is_enabled {
            return Ok(());
        }
        let draw = |bucket: &Mutex<Bucket>| bucket.lock().take(now, settings);
        if let Some(judged) = self.buckets.read(&user, draw) {
            return judged;
        }
        let full = || {
            Ok::<_, std::convert::Infallible>(Mutex::new(Bucket { level: i64::from(settings.burst) * TOKEN, at: now }))
        };
        let Ok(judged) = self.buckets.get_or_try_insert_with(user, full, draw);
        judged
    }

    /// Removes one shard's idle buckets; returns how many.
    pub fn sweep(&self, shard: usize, now: Micros, settings: &LimiterSettings) -> usize {
        self.buckets.sweep(shard, |_, bucket| bucket.lock().is_idle(now, settings)).len()
    }

    /// Removes all of one shard's buckets; returns how many.
    pub fn clear(&self, shard: usize) -> usize {
        self.buckets.sweep(shard, |_, _| true).len()
    }

    pub fn shard_sizes(&self) -> Vec<usize> {
        self.buckets.shard_sizes()
    }

    /// Buckets there are: a gauge.
    pub fn bucket_count(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Micros = 1_000_000;

    fn settings(burst: u32, refill: u32) -> LimiterSettings {
        LimiterSettings { is_enabled: true, refill, burst, idle_timeout: 5 * SECOND }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (limiter, settings) = (Limiter::new(1), settings(3, 2));
        for _ in 0..3 {
            assert_eq!(limiter.take(1, 0, &settings), Ok(()));
        }
        assert_eq!(limiter.take(1, 0, &settings), Err(OverRate { retry_after: 1 }));
        assert_eq!(limiter.take(1, SECOND / 2, &settings), Ok(()));
        assert!(limiter.take(1, SECOND / 2, &settings).is_err());
        assert_eq!(limiter.take(2, 0, &settings), Ok(()), "each sender has a bucket of its own");
    }

    #[test]
    fn an_idle_bucket_goes_only_when_it_is_full_again() {
        let (limiter, settings) = (Limiter::new(1), settings(20, 1));
        for _ in 0..10 {
            limiter.take(1, 0, &settings).unwrap();
        }
        assert_eq!(limiter.sweep(0, 6 * SECOND, &settings), 0, "idle, but six of ten tokens are still missing four");
        assert_eq!(limiter.sweep(0, 10 * SECOND, &settings), 1);
        assert_eq!(limiter.bucket_count(), 0);
    }

    #[test]
    fn nothing_is_taken_while_it_is_off() {
        let (limiter, on) = (Limiter::new(1), settings(0, 1));
        assert!(limiter.take(1, 0, &on).is_err());
        assert_eq!(limiter.take(1, 0, &LimiterSettings { is_enabled: false, ..on }), Ok(()));
    }

    proptest! {
        /// In any window a sender gets at most the burst and what the window refilled, sweeps and clock jumps included.
        #[test]
        fn never_more_than_burst_and_refill(
            burst in 0_u32..10,
            refill in 1_u32..10,
            steps in prop::collection::vec((-SECOND..3 * SECOND, any::<bool>()), 1..100),
        ) {
            let (limiter, settings) = (Limiter::new(1), settings(burst, refill));
            let (mut now, mut forward, mut granted) = (0, 0, 0_i64);
            for (step, sweep) in steps {
                now += step;
                forward += step.max(0);
                if sweep {
                    limiter.sweep(0, now, &settings);
                }
                granted += i64::from(limiter.take(1, now, &settings).is_ok());
                prop_assert!(granted * TOKEN <= i64::from(burst) * TOKEN + forward * i64::from(refill));
            }
        }
    }
}
