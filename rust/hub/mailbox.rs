//! A user's open sessions.

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
    /// Adds a session, unless there are `max_sessions_amount` already.
    pub fn open(&self, session: Arc<Session>, settings: &Settings) -> Result<(), InsertError> {
        self.sessions.insert(session.id(), session, settings.max_sessions_amount)
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

    pub fn has_idle(&self, now: Micros, timeout: Micros) -> bool {
        self.sessions.read(|sessions| sessions.iter().any(|(_, session)| session.is_idle(now, timeout)))
    }

    /// Closes and removes idle sessions; returns them.
    pub fn close_idle(&self, now: Micros, timeout: Micros) -> Vec<Arc<Session>> {
        self.remove_where(|session| session.close_if_idle(now, timeout))
    }

    /// Closes and removes every session; returns them.
    pub fn close_all(&self) -> Vec<Arc<Session>> {
        self.remove_where(Session::close)
    }

    fn remove_where(&self, mut closed: impl FnMut(&Session) -> bool) -> Vec<Arc<Session>> {
        let doomed: Vec<_> = self
            .sessions
            .snapshot()
            .iter()
            .filter(|(_, session)| closed(session))
            .map(|(_, session)| Arc::clone(session))
            .collect();
        for session in &doomed {
            self.sessions.remove(&session.id());
        }
        doomed
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

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}
