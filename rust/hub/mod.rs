//! Who is online and what waits for them. Knows no HTTP and no database; time is passed in, in microseconds.
//!
//! # Idea
//!
//! A sharded map from user to mailbox, and from there it is atomics: who sends holds a shard's read lock for as long as
//! it takes to copy an `Arc`. Whoever is online has a mailbox, and nobody else; the last session takes it along.
//!
//! # Invariants
//!
//! - A session is opened under the write lock of its user's shard, and a mailbox is removed under it, if it is empty
//!   then: a session that was opened can be found.
//! - `online` is the number of mailboxes; a place is taken before one is put in, under its shard's lock, and given back
//!   after it was removed, so its bound holds over all shards.
//! - Each session is counted as opened before anybody can find it, and as closed by the one who closed it.
//! - No lock is held while a waker is called: what wakes works on copied `Arc`s.
//! - What a sweep removed, mailboxes and single sessions, is freed later and a little at a time (`release_swept`);
//!   nothing can find it meanwhile but who already has it.
//!
//! # Orderings
//!
//! The shards' locks; `online` and the counters are relaxed, for they decide only how many. `stopping` and `refusing`
//! are sequentially consistent, being rare: the flag is raised before the wakes, and a reader registers its waker
//! before it looks at the flag, so none sleeps on.

mod census;
pub mod directory;
pub mod journal;
pub mod limiter;
mod lookup;
pub mod mailbox;
pub mod message;
mod publish;
pub mod session;
pub mod settings;
pub mod stats;
mod sweep;
pub mod tally;

use std::ops::Deref;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
pub use lookup::Unavailable;

use crate::structures::{InsertError, ShardedMap};
use crate::sync::{ArcSwap, AtomicBool, AtomicUsize, Mutex, Ordering, random_id};
use directory::Directory;
use journal::Journal;
use limiter::Limiter;
use mailbox::{Delivery, Mailbox};
use message::SharedMessage;
use session::{ReadError, Reader, Session, SessionId};
use settings::Settings;
use stats::Stats;
pub use sweep::RELEASE_REST;
use sweep::Swept;

/// Microseconds since the Unix epoch.
pub type Micros = i64;
pub type UserId = i64;

/// Few enough to sweep quickly, enough that two cores seldom meet in one: 64 shards, 128 bytes of lock each.
/// A model needs no more than two.
const SHARDS: usize = if cfg!(feature = "models") { 2 } else { 64 };

#[derive(Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The user has `max_sessions_amount` sessions.
    TooManySessions,
    /// `max_users_amount` users are online.
    TooManyUsers,
}

/// Everything of one serving process that must be known to move a message.
pub struct Hub {
    pub directory: Directory,
    pub journal: Journal,
    pub limiter: Limiter,
    pub stats: Stats,
    mailboxes: ShardedMap<UserId, Arc<Mailbox>>,
    /// Removed, and to be freed by `release_swept`.
    swept: Mutex<Vec<Swept>>,
    /// Mailboxes there are: kept beside the map so that its bound holds over all shards. Senders read what is beside
    /// it.
    online: CachePadded<AtomicUsize>,
    settings: ArcSwap<Settings>,
    refusing: AtomicBool,
    stopping: AtomicBool,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            directory: Directory::default(),
            journal: Journal::default(),
            limiter: Limiter::new(SHARDS),
            stats: Stats::default(),
            mailboxes: ShardedMap::new(SHARDS),
            swept: Mutex::new(Vec::new()),
            online: CachePadded::new(AtomicUsize::new(0)),
            settings: ArcSwap::default(),
            refusing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }
}

impl Hub {
    /// The settings in force now; the snapshot stays as it is. To be held for a moment, not over an await.
    pub fn settings(&self) -> impl Deref<Target = Arc<Settings>> {
        // Not a counted reference: all threads would count in one cache line.
        self.settings.load()
    }

    pub fn apply(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Opens a session for the user. Decided under the lock of the mailbox's shard: a mailbox that is found empty and
    /// removed cannot be given a session at the same instant.
    pub fn open(&self, user: UserId, now: Micros) -> Result<Arc<Session>, OpenError> {
        let settings = self.settings();
        if settings.max_sessions_amount == 0 {
            return Err(OpenError::TooManySessions);
        }
        // Before anybody can find it: who closes it counts it down.
        self.stats.sessions_opened.up();
        let opened = self.open_counted(user, now, &settings);
        if opened.is_err() {
            self.stats.sessions_opened.down(1);
        }
        opened
    }

    fn open_counted(&self, user: UserId, now: Micros, settings: &Settings) -> Result<Arc<Session>, OpenError> {
        loop {
            let session = Arc::new(Session::new(random_id(), now));
            // Freed after the shard's lock is.
            let mut forgotten = Vec::new();
            let opened = self.mailboxes.get_or_try_insert_with(
                user,
                || self.reserve_place(settings).then(Arc::default).ok_or(OpenError::TooManyUsers),
                |mailbox: &Arc<Mailbox>| mailbox.open(&session, settings, &mut forgotten),
            )?;
            match opened {
                Ok(()) => return Ok(session),
                Err(InsertError::Full) => return Err(OpenError::TooManySessions),
                // The same random id twice: once in 10^36 or so; draw again.
                Err(InsertError::Exists) => {}
            }
        }
    }

    fn reserve_place(&self, settings: &Settings) -> bool {
        let next = |online| (online < settings.max_users_amount).then_some(online + 1);
        self.online.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Becomes the reader of a session of this user's.
    pub fn read(&self, user: UserId, session: &SessionId, now: Micros) -> Result<Reader, ReadError> {
        let mailbox = self.mailboxes.get(&user).ok_or(ReadError::Gone)?;
        mailbox.session(session).ok_or(ReadError::Gone)?.read(now)
    }

    /// Puts the message into every session of every one of these users.
    pub fn deliver(&self, message: &SharedMessage, users: impl IntoIterator<Item = UserId>) -> Delivery {
        let settings = self.settings();
        let mut total = Delivery::default();
        for user in users {
            let delivery =
                self.mailboxes.get(&user).map(|mailbox| mailbox.deliver(message, &settings)).unwrap_or_default();
            self.stats.send_dropped_offline.add(usize::from(delivery == Delivery::default()));
            total += delivery;
        }
        self.stats.send_successful.add(total.accepted);
        self.stats.send_dropped_overflow.add(total.refused);
        total
    }

    /// Whether a message to the user would reach a session now.
    pub fn is_online(&self, user: UserId) -> bool {
        self.mailboxes.read(&user, |mailbox| !mailbox.is_empty()).unwrap_or(false)
    }

    /// Tells all sessions of these users that something is missing in them.
    pub fn declare_gap(&self, users: impl IntoIterator<Item = UserId>) {
        for mailbox in users.into_iter().filter_map(|user| self.mailboxes.get(&user)) {
            mailbox.declare_gap();
        }
    }

    /// Makes the user's parked readers look again.
    pub fn wake_user(&self, user: UserId) {
        if let Some(mailbox) = self.mailboxes.get(&user) {
            mailbox.wake_all();
        }
    }

    pub fn shard_count(&self) -> usize {
        self.mailboxes.shard_count()
    }

    /// One shard's mailboxes: it is held for as long as it takes to copy their `Arc`s.
    fn mailboxes_in(&self, shard: usize) -> Vec<(UserId, Arc<Mailbox>)> {
        self.mailboxes.collect(shard, |user, mailbox| Some((*user, Arc::clone(mailbox))))
    }

    /// Users online.
    pub fn online(&self) -> usize {
        self.online.load(Ordering::Relaxed)
    }

    /// Whether a stop has begun, so that nothing new may.
    pub fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::SeqCst)
    }

    /// The first half of a stop: nothing new begins, what is under way goes on.
    pub fn refuse(&self) {
        self.refusing.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// From now on nothing new begins, and parked reads end too.
    pub fn stop(&self) {
        self.refuse();
        self.stopping.store(true, Ordering::SeqCst);
        for shard in 0..self.mailboxes.shard_count() {
            for (_, mailbox) in self.mailboxes_in(shard) {
                mailbox.wake_all();
            }
        }
    }
}

/// For the histograms in seconds; a clock that was set back counts as none passed.
pub fn whole_seconds(elapsed: Micros) -> u64 {
    u64::try_from(elapsed / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
