//! Accepted messages on their way to the database, many in one transaction.
//!
//! # Idea
//!
//! What is accepted gathers here while the batch before it is being written. Whoever writes takes all of it as the next
//! batch, and says what became of it: committed (`Hub::publish`: delivered to those who are in the chat by then, in the
//! order of commits), failed, or unknown for now. Only then are the senders answered. So a send costs its share of one
//! transaction, and waits for two of them at most.
//!
//! # Invariants
//!
//! - At most one batch is out, so the order of commits is the order of ids: given when a batch is taken, always above
//!   the last one's.
//! - Whoever was accepted is answered, once, and so is who repeats it: with what is known of the first then. While that
//!   is in doubt a repeat is told so, whether or not anything is accepted: it must not hear that its message is not
//!   stored.
//! - `pending` and `bytes` count a message until its batch is settled, and a repeat that waits for its first until it
//!   is answered; both are bounded, and beyond them nothing is accepted. `bytes` is no less than what all of them take
//!   here (`memory.rs`).
//! - A client id that is out stands in `claims`; a committed one is put into `recent` before it leaves `claims`. So one
//!   that is repeated at any time finds the first, in one of them or in the database. Those of a batch that was lost
//!   stay until the next writer opens: what it finds in the database is final.
//!
//! # Orderings
//!
//! All is decided under one small lock, held for a push, a swap or some removals; nothing is encoded, answered or woken
//! under it. Who accepts looks into `recent` and then into `claims` under that lock, and who settles fills `recent`
//! before it takes the lock to remove from `claims`, so nobody misses both. The writer registers its waker before it
//! looks, senders push before they wake.

mod batch;
mod memory;
mod rows;
mod settle;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use hashbrown::HashMap;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

pub use batch::{Batch, Claims, Repeats};

use super::directory::{Chat, ChatNumber};
use super::mailbox::Delivery;
use super::message::SharedMessage;
use super::{Micros, UserId};
use crate::sync::{AtomicWaker, Mutex};

/// Grows with time: microseconds since the Unix epoch, or one more than the last.
pub type MessageId = i64;

/// A sender's own name for a message.
pub type Claim = (UserId, Arc<str>);

/// Rows a batch: beyond some hundred they cost what they cost singly, and the senders wait for all of them.
const MAX_ROWS: usize = 1_000;
/// Memory that may be pending: a thousand of the largest messages, or 60,000 small ones with a client id each.
pub const MAX_BYTES: usize = 32 << 20;
/// Client ids remembered here, about 25 MB when full: the last minute of a busy server. Older ones are in the database.
const RECENT_CLAIMS: usize = if cfg!(feature = "models") { 2 } else { 1 << 18 };

/// A message to be stored; or, where messages are only live, one whose client id alone is.
#[derive(Debug)]
pub struct Post {
    pub is_stored: bool,
    pub sender: UserId,
    pub chat: ChatNumber,
    pub to: Recipients,
    pub text: Box<str>,
    pub message: SharedMessage,
    pub client_id: Option<Arc<str>>,
}

#[derive(Debug)]
pub enum Recipients {
    /// Whoever is in the chat when it is published; it is as it was when the message was accepted.
    Members(Arc<Chat>),
    One(UserId),
}

/// What became of an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Committed {
        id: MessageId,
        delivery: Delivery,
    },
    /// Its client id was the sender's already, for this message.
    Repeated(MessageId),
    /// It is not stored.
    Failed,
    /// It may be stored or not.
    Unknown,
}

/// An answer at hand, or one to wait for. A sender of whom nothing comes any more does not know.
#[derive(Debug)]
pub enum Accepted {
    Repeated(MessageId),
    Waiting(oneshot::Receiver<Outcome>),
    /// For what becomes of the first with its client id, which is under way.
    Repeating(oneshot::Receiver<Outcome>),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// As much is pending as may be.
    Full,
    /// Nobody writes at present.
    Closed,
    /// Its client id was the sender's already, for a message that may be stored or not.
    Doubted,
}

/// One accepted message.
#[derive(Debug)]
struct Entry {
    id: MessageId,
    post: Post,
    accepted_at: Micros,
    waiter: Option<oneshot::Sender<Outcome>>,
}

impl Entry {
    fn claim(&self) -> Option<Claim> {
        Some((self.post.sender, Arc::clone(self.post.client_id.as_ref()?)))
    }

    fn answer(&mut self, outcome: Outcome) {
        if let Some(waiter) = self.waiter.take() {
            // A client that has left has dropped its end.
            let _ = waiter.send(outcome);
        }
    }
}

/// A client id whose message is not settled.
#[derive(Debug, Default)]
struct Claimed {
    standing: Standing,
    /// Who repeats it meanwhile.
    repeats: Vec<oneshot::Sender<Outcome>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Gathered or out.
    #[default]
    Pending,
    /// Out, and its sender was told that its outcome is unknown.
    Doubted,
    /// As doubted, and nobody will say any more what became of it.
    Lost,
}

#[derive(Debug, Default)]
struct State {
    /// Batch by batch: so that what is behind a full one need not be moved, nor is ever twice in memory as it grows.
    gathered: VecDeque<Vec<Entry>>,
    claims: HashMap<Claim, Claimed>,
    pending: usize,
    /// Memory that they take at most, but for the table of `claims`.
    bytes: usize,
    is_open: bool,
    is_out: bool,
    last_id: MessageId,
}

pub struct Journal {
    state: Mutex<State>,
    recent: Cache<Claim, MessageId>,
    writer: AtomicWaker,
}

impl Default for Journal {
    fn default() -> Self {
        Self { state: Mutex::default(), recent: Cache::new(RECENT_CLAIMS), writer: AtomicWaker::new() }
    }
}

impl Journal {
    /// Takes the message for the next batch; with as many as `max_pending` there already, refuses it.
    pub fn accept(&self, post: Post, max_pending: usize, now: Micros) -> Result<Accepted, Refused> {
        let (waiter, waiting) = oneshot::channel();
        let entry = Entry { id: 0, post, accepted_at: now, waiter: Some(waiter) };
        let claim = entry.claim();
        {
            let mut state = self.state.lock();
            if let Some(id) = claim.as_ref().and_then(|claim| self.recent.get(claim)) {
                return Ok(Accepted::Repeated(id));
            }
            let room = if state.pending < max_pending { state.room() } else { 0 };
            if let Some(claimed) = claim.as_ref().and_then(|claim| state.claims.get_mut(claim)) {
                if claimed.standing != Standing::Pending {
                    return Err(Refused::Doubted);
                }
                if room < memory::REPEAT {
                    return Err(Refused::Full);
                }
                claimed.repeats.extend(entry.waiter);
                state.pending += 1;
                state.bytes += memory::REPEAT;
                return Ok(Accepted::Repeating(waiting));
            }
            if !state.is_open {
                return Err(Refused::Closed);
            }
            let bytes = entry.bytes();
            if room < bytes {
                return Err(Refused::Full);
            }
            state.pending += 1;
            state.bytes += bytes;
            if let Some(claim) = claim {
                state.claims.insert(claim, Claimed::default());
            }
            match state.gathered.back_mut() {
                Some(last) if last.len() < MAX_ROWS => last.push(entry),
                _ => state.gathered.push_back(vec![entry]),
            }
        }
        self.writer.wake();
        Ok(Accepted::Waiting(waiting))
    }

    /// The next batch, once there is something and the batch before it is settled. For one writer.
    pub fn poll_batch(&self, cx: &Context<'_>, now: Micros) -> Poll<Batch> {
        self.writer.register(cx.waker());
        let mut entries;
        let first;
        {
            let mut state = self.state.lock();
            if state.is_out {
                return Poll::Pending;
            }
            let Some(next) = state.gathered.pop_front() else { return Poll::Pending };
            entries = next;
            state.is_out = true;
            first = now.max(state.last_id + 1);
            state.last_id = first + entries.len() as MessageId - 1;
        }
        for (entry, id) in entries.iter_mut().zip(first..) {
            entry.id = id;
        }
        Poll::Ready(Batch::new(entries, now))
    }

    /// From now on messages are accepted; ids begin above `last_id`. Nothing of a writer before can be committed any
    /// more.
    pub fn open(&self, last_id: MessageId) {
        let mut state = self.state.lock();
        state.last_id = state.last_id.max(last_id);
        state.claims.retain(|_, claimed| claimed.standing != Standing::Lost);
        state.is_open = true;
    }

    /// Accepts nothing more; what has gathered is still there to be taken.
    pub fn close(&self) {
        self.state.lock().is_open = false;
    }

    /// An id for a message that goes past the journal.
    pub fn next_id(&self, now: Micros) -> MessageId {
        let mut state = self.state.lock();
        state.last_id = now.max(state.last_id + 1);
        state.last_id
    }

    /// Messages accepted and not answered: a gauge.
    pub fn pending(&self) -> usize {
        self.state.lock().pending
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
