//! How sessions end that nobody asked to end, and their memory after them.
//!
//! # Idea
//!
//! A sweep closes what is idle and removes it from where it can be found, a shard at a time; to free it costs more than
//! that and slows whoever sends meanwhile, so it is done after the sweep, in small steps.
//!
//! # Invariants
//!
//! - Whether a session is idle is decided under its own lock, and whether a mailbox is empty under its shard's write
//!   lock.
//! - Whoever closed sessions counts them and has them leave (`forget`): each once.
//! - What a sweep removed is in `swept`, all of it, until `release_swept`: no session is freed by the sweep itself, be
//!   it its user's last or not.
//!
//! # Orderings
//!
//! The locks' own.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::Mailbox;
use super::session::Session;
use super::{Hub, Micros, UserId, whole_seconds};
use crate::sync::Ordering;

/// How many mailboxes or sessions are freed between two rests: some 50 us, which the senders' allocations may have to
/// wait for.
pub(super) const RELEASE_STEP: usize = 64;

/// How long a rest is. With a tenth of it the p99 of sends was 2.6 times its usual while a million sessions went; they
/// take half a minute now, and it is its usual. `benches/README.md` has the figures.
pub const RELEASE_REST: Duration = Duration::from_millis(2);

/// What a sweep removed, and nobody can find any more.
pub(super) enum Swept {
    /// With the sessions in it.
    Mailbox(Arc<Mailbox>),
    /// Of a user who has another.
    Session(Arc<Session>),
}

impl Swept {
    fn address(&self) -> usize {
        match self {
            Self::Mailbox(mailbox) => Arc::as_ptr(mailbox) as usize,
            Self::Session(session) => Arc::as_ptr(session) as usize,
        }
    }
}

impl Hub {
    /// Closes all sessions of one user.
    pub fn close_user(&self, user: UserId, now: Micros) {
        if let Some(mailbox) = self.mailboxes.get(&user) {
            self.forget(user, &mailbox, &mailbox.close_all(), now);
        }
    }

    /// Closes one shard's idle sessions, removes its empty mailboxes and idle limiters; returns how many sessions it
    /// closed. The sessions and mailboxes stay in memory until `release_swept`.
    ///
    /// Who is idle is judged after the shard's mailboxes were copied, and whether a mailbox is empty once more under
    /// the write lock. The limiters' shard, another, is held while each of its buckets is judged.
    ///
    /// # Panics
    /// There is no such shard.
    pub fn sweep(&self, shard: usize, now: Micros) -> usize {
        let settings = self.settings();
        let (mut closed, mut swept) = (0, Vec::new());
        for (user, mailbox) in self.mailboxes_in(shard) {
            let sessions = mailbox.close_idle(now, settings.session_idle_timeout);
            closed += sessions.len();
            if sessions.is_empty() && !mailbox.is_empty() {
                continue;
            }
            if self.forget(user, &mailbox, &sessions, now) {
                swept.push(Swept::Mailbox(mailbox));
            } else {
                swept.extend(sessions.into_iter().map(Swept::Session));
            }
        }
        if !swept.is_empty() {
            self.mailboxes.shrink(shard);
            self.swept.lock().append(&mut swept);
        }
        self.stats.limiter_removed.add(self.limiter.sweep(shard, now, &settings.limiter));
        closed
    }

    /// Closes every session and forgets what everybody has sent.
    pub fn reset(&self, now: Micros) {
        for shard in 0..self.shard_count() {
            for (user, mailbox) in self.mailboxes_in(shard) {
                self.forget(user, &mailbox, &mailbox.close_all(), now);
            }
            self.stats.limiter_removed.add(self.limiter.clear(shard));
        }
    }

    /// Frees what the sweeps removed since the last call, calling `rest` now and then.
    ///
    /// In the order of memory: neighbours then grow together to one hole. In the order of the sweep, which is the
    /// hash's, a million sessions leave a million holes, and the allocator puts the messages that are sent meanwhile
    /// there, each into memory that no cache knows: one send in six was slow then, at whatever pace.
    pub fn release_swept(&self, rest: impl Fn()) {
        let mut swept = std::mem::take(&mut *self.swept.lock());
        swept.sort_unstable_by_key(Swept::address);
        for (freed, one) in (1..).zip(swept) {
            drop(one);
            if freed % RELEASE_STEP == 0 && !self.is_stopping() {
                rest();
            }
        }
    }

    /// What follows the closing of these sessions: their mailbox goes if none in it is open, which is true, else they
    /// do.
    fn forget(&self, user: UserId, mailbox: &Mailbox, closed: &[Arc<Session>], now: Micros) -> bool {
        self.count_closed(closed, now);
        let removed = self.mailboxes.remove_if(&user, |mailbox| mailbox.is_empty()).is_some();
        if removed {
            self.online.fetch_sub(1, Ordering::Relaxed);
            self.stats.mailbox_removed.add(1);
        } else {
            mailbox.forget(closed);
        }
        removed
    }

    fn count_closed(&self, sessions: &[Arc<Session>], now: Micros) {
        self.stats.sessions_opened.down(sessions.len());
        self.stats.sessions_removed.add(sessions.len());
        for session in sessions {
            self.stats.sessions_lifetime_sec.record(whole_seconds(now - session.opened_at()));
        }
    }
}
