//! A user's open sessions.
//!
//! # Idea
//!
//! A few sessions that every message to the user goes through and that hardly ever change: a copy-on-write map, which
//! senders read without a lock. A session is closed first, which is one flag and decided under its own lock, and taken
//! out of the map after that; so closing never waits for senders, nor they for it.
//!
//! # Invariants
//!
//! - A session is put in under the lock of the mailbox's shard, and the mailbox is removed under it when it `is_empty`:
//!   so none is put into a mailbox that is gone.
//! - Whoever closes sessions sees to it that they leave: with the mailbox, or, where another is open, by `forget`.
//!   Until then they refuse what is sent, and take no place from one that is opened.
//!
//! # Orderings
//!
//! Its map's, and a session's `closed`. Of two who close the last two sessions at once, the one that comes to the
//! shard's lock second finds both closed.

use std::sync::Arc;

use super::Micros;
use super::message::SharedMessage;
use super::session::{Pushed, Session, SessionId};
use super::settings::Settings;
use crate::structures::{InsertError, RcuMap};

#[derive(Debug, Default)]
pub struct Mailbox {
    sessions: RcuMap<SessionId, Arc<Session>>,
}

/// What became of one message in one or more mailboxes, counted in sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    pub accepted: usize,
    pub refused: usize,
}

impl std::ops::AddAssign for Delivery {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
    }
}

impl Mailbox {
    /// Adds a session, unless `max_sessions_amount` are open already. Closed ones that leave for it go to `forgotten`:
    /// where nobody else has them any more, whoever drops that frees them.
    pub fn open(
        &self,
        session: &Arc<Session>,
        settings: &Settings,
        forgotten: &mut Vec<Arc<Session>>,
    ) -> Result<(), InsertError> {
        let insert = || self.sessions.insert(session.id(), Arc::clone(session), settings.max_sessions_amount);
        insert().or_else(|error| {
            // Those that whoever closed them has not forgotten yet take no place.
            let closed = self.all_that(Session::is_closed);
            if error == InsertError::Exists || closed.is_empty() {
                return Err(error);
            }
            self.forget(&closed);
            forgotten.extend(closed);
            insert()
        })
    }

    pub fn session(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.sessions.get(id)
    }

    /// Puts the message into the queue of every session.
    pub fn deliver(&self, message: &SharedMessage, settings: &Settings) -> Delivery {
        self.sessions.read(|sessions| {
            let mut delivery = Delivery::default();
            for (_, session) in sessions {
                match session.push(message, settings) {
                    Pushed::Accepted => delivery.accepted += 1,
                    Pushed::Refused => delivery.refused += 1,
                    Pushed::Closed => {}
                }
            }
            delivery
        })
    }

    /// Tells every session that something is missing in it.
    pub fn declare_gap(&self) {
        self.sessions.read(|sessions| sessions.iter().for_each(|(_, session)| session.declare_gap()));
    }

    /// Closes idle sessions; returns them. They stay in the mailbox until they are forgotten, or it is removed with
    /// them.
    pub fn close_idle(&self, now: Micros, timeout: Micros) -> Vec<Arc<Session>> {
        self.all_that(|session| session.close_if_idle(now, timeout))
    }

    /// Closes every session; returns them. They stay as with `close_idle`.
    pub fn close_all(&self) -> Vec<Arc<Session>> {
        self.all_that(Session::close)
    }

    /// Asks each session; returns those of which it is true.
    fn all_that(&self, are: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let sessions = self.sessions.snapshot();
        sessions.iter().map(|(_, session)| session).filter(|session| are(session)).cloned().collect()
    }

    pub fn forget(&self, sessions: &[Arc<Session>]) {
        for session in sessions {
            self.sessions.remove(&session.id());
        }
    }

    /// Calls `each` on every session; returns how many there are.
    pub fn for_each(&self, each: impl FnMut(&Session)) -> usize {
        self.sessions.read(|sessions| {
            sessions.iter().map(|(_, session)| &**session).for_each(each);
            sessions.len()
        })
    }

    pub fn wake_all(&self) {
        self.for_each(Session::wake);
    }

    /// Whether no session in it is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.read(|sessions| sessions.iter().all(|(_, session)| session.is_closed()))
    }
}
