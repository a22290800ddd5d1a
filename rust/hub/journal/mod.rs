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
//! - At most one batch is out, so the order of commits is the order of ids: given when a batch is taken, always above the
//!   last one's.
//! - Whoever was accepted is answered, once. A batch that is dropped without a word has an unknown outcome.
//! - `pending` and `bytes` count from the acceptance to the answer, repeats that wait for their first included; both are
//!   bounded, and beyond them nothing is accepted.
//! - A client id that is out stands in `claims`; a committed one is put into `recent` before it leaves `claims`, under the
//!   same lock. So one that is repeated at any time finds the first, in one of them or in the database.
//!
//! # Orderings
//!
//! All is decided under one small lock, held for a push or a swap; nothing is encoded, answered or woken under it. The
//! writer registers its waker before it looks, senders push before they wake.

mod batch;
mod rows;

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
/// Text that may be pending: a thousand of the largest messages.
const MAX_BYTES: usize = 16 << 20;
/// Client ids remembered here, about 25 MB when full: the last minute of a busy server. Older ones are in the database.
const RECENT_CLAIMS: usize = if cfg!(feature = "models") { 2 } else { 1 << 18 };

/// A message to be stored.
#[derive(Debug)]
pub struct Post {
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
}

#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// As much is pending as may be.
    Full,
    /// Nobody writes at present.
    Closed,
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

#[derive(Debug, Default)]
struct State {
    gathered: Vec<Entry>,
    /// Client ids that are out or gathered, and who repeats them meanwhile.
    claims: HashMap<Claim, Vec<oneshot::Sender<Outcome>>>,
    pending: usize,
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
            if !state.is_open {
                return Err(Refused::Closed);
            }
            let bytes = entry.post.text.len();
            if state.pending >= max_pending || state.bytes + bytes > MAX_BYTES {
                return Err(Refused::Full);
            }
            state.pending += 1;
            if let Some(claim) = claim {
                if let Some(repeats) = state.claims.get_mut(&claim) {
                    repeats.extend(entry.waiter);
                    return Ok(Accepted::Waiting(waiting));
                }
                state.claims.insert(claim, Vec::new());
            }
            state.bytes += bytes;
            state.gathered.push(entry);
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
            if state.is_out || state.gathered.is_empty() {
                return Poll::Pending;
            }
            state.is_out = true;
            entries = std::mem::take(&mut state.gathered);
            if entries.len() > MAX_ROWS {
                state.gathered = entries.split_off(MAX_ROWS);
            }
            first = now.max(state.last_id + 1);
            state.last_id = first + entries.len() as MessageId - 1;
        }
        for (entry, id) in entries.iter_mut().zip(first..) {
            entry.id = id;
        }
        Poll::Ready(Batch::new(entries, now))
    }

    /// From now on messages are accepted; ids begin above `last_id`.
    pub fn open(&self, last_id: MessageId) {
        let mut state = self.state.lock();
        state.last_id = state.last_id.max(last_id);
        state.is_open = true;
    }

    /// Accepts nothing more; what has gathered is still there to be taken.
    pub fn close(&self) {
        self.state.lock().is_open = false;
    }

    /// Gives up what has gathered and is in no batch yet.
    pub fn fail_gathered(&self) -> usize {
        let gathered = std::mem::take(&mut self.state.lock().gathered);
        let failed = gathered.len();
        self.settle(gathered.into_iter().map(|entry| (entry, Outcome::Failed)).collect());
        failed
    }

    /// An id for a message that is not stored; of one that was repeated within memory, the first one's is the error.
    pub fn pass(&self, claim: Option<Claim>, now: Micros) -> Result<MessageId, MessageId> {
        let mut state = self.state.lock();
        if let Some(first) = claim.as_ref().and_then(|claim| self.recent.get(claim)) {
            return Err(first);
        }
        state.last_id = now.max(state.last_id + 1);
        if let Some(claim) = claim {
            self.recent.insert(claim, state.last_id);
        }
        Ok(state.last_id)
    }

    /// Messages accepted and not answered: a gauge.
    pub fn pending(&self) -> usize {
        self.state.lock().pending
    }

    /// Answers these, and whoever repeats their client ids.
    fn settle(&self, outcomes: Vec<(Entry, Outcome)>) {
        let mut repeats = Vec::new();
        {
            let mut state = self.state.lock();
            for (entry, outcome) in &outcomes {
                state.pending -= 1;
                state.bytes -= entry.post.text.len();
                let Some(claim) = entry.claim() else { continue };
                let waiting = state.claims.remove(&claim).unwrap_or_default();
                state.pending -= waiting.len();
                let outcome = match *outcome {
                    Outcome::Committed { id, .. } | Outcome::Repeated(id) => {
                        self.recent.insert(claim, id);
                        Outcome::Repeated(id)
                    }
                    other => other,
                };
                repeats.extend(waiting.into_iter().map(|waiter| (waiter, outcome)));
            }
        }
        for (mut entry, outcome) in outcomes {
            entry.answer(outcome);
        }
        for (waiter, outcome) in repeats {
            let _ = waiter.send(outcome);
        }
    }

    /// As `settle`, for all of the batch that is out.
    fn settle_batch(&self, outcomes: Vec<(Entry, Outcome)>) {
        self.settle(outcomes);
        self.state.lock().is_out = false;
        self.writer.wake();
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
