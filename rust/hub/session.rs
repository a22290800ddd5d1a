//! One device's place in the stream of messages: a bounded queue, and at most one reader at a time.
//!
//! # Idea
//!
//! Senders touch only atomics: they push to the queue, or mark that something was refused, and wake the reader. All
//! that must be decided rather than counted (who reads, is it closed, what was handed out but not yet taken) stands
//! under one small lock that senders never take. A reader moves messages from the queue to `held` and writes its answer
//! from there; they leave `held` when the answer begins to be written (`commit`). A reader that goes away before that
//! has changed nothing: the next one finds the same messages, in the same order.
//!
//! # Invariants
//!
//! - At most one `Reader` exists for a session; only it touches the queue's consuming end, and only under the lock.
//! - Closing an idle session and beginning to read are decided under the lock: a session being read is not idle, and a
//!   closed session is never read again (its owner hears that it is gone).
//! - What a push accepted is delivered, or the session is closed. What it refused is counted in `refused` until an
//!   answer that says so is committed.
//! - The bounds count `held` too, so a slow reader does not widen them: a message keeps its place in the queue's count
//!   and its bytes until it leaves `held`.
//!
//! # Orderings
//!
//! A reader registers its waker, then looks for something to read; a sender makes something to read, then wakes.
//! `AtomicWaker` orders the two against each other: either the reader sees it or the sender wakes it. `refused` is
//! raised (release) before the wake for the same reason, and before the sender's next push, so that a reader who pops
//! that one (acquire) sees the gap before it. `bytes` is relaxed: it decides only how many. (The queue, the waker and
//! the lock would order it all with `refused` and `closed` relaxed too, as the models show; it is not left to them.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use uuid::Uuid;

use super::Micros;
use super::message::SharedMessage;
use super::settings::Settings;
use crate::structures::MpscQueue;
use crate::sync::{AtomicBool, AtomicUsize, AtomicWaker, Mutex, Ordering};

pub type SessionId = Uuid;

#[derive(Debug)]
pub struct Session {
    id: SessionId,
    opened_at: Micros,
    queue: MpscQueue<SharedMessage>,
    /// Bytes of what is queued or held.
    bytes: AtomicUsize,
    /// Messages refused since the last answer that declared a gap.
    refused: AtomicUsize,
    closed: AtomicBool,
    waker: AtomicWaker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    being_read: bool,
    last_seen: Micros,
    held: VecDeque<SharedMessage>,
}

/// What became of a message that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Accepted,
    /// The session's bound is reached; the gap will be declared.
    Refused,
    /// The session is closed: its owner hears that it is gone.
    Closed,
}

#[derive(Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Somebody reads it already.
    Busy,
    /// It is closed.
    Gone,
}

impl Session {
    pub fn new(id: SessionId, now: Micros) -> Self {
        Self {
            id,
            opened_at: now,
            queue: MpscQueue::default(),
            bytes: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            state: Mutex::new(State { being_read: false, last_seen: now, held: VecDeque::new() }),
        }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    pub fn opened_at(&self) -> Micros {
        self.opened_at
    }

    /// Queues a message and wakes the reader, or refuses it and wakes the reader to say so.
    pub fn push(&self, message: &SharedMessage, settings: &Settings) -> Pushed {
        // One that is closed right after this look is one that was closed right after the push.
        if self.is_closed() {
            return Pushed::Closed;
        }
        let cost = message.cost();
        let accepted = self.bytes.fetch_add(cost, Ordering::Relaxed) + cost <= settings.max_queue_bytes
            && self.queue.push(Arc::clone(message), settings.max_queue_size).is_ok();
        if !accepted {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Release);
        }
        self.waker.wake();
        if accepted { Pushed::Accepted } else { Pushed::Refused }
    }

    /// Says with the next answer that something is missing, as after a refused push.
    pub fn declare_gap(&self) {
        self.refused.fetch_add(1, Ordering::Release);
        self.waker.wake();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Becomes the session's reader.
    pub fn read(self: Arc<Self>, now: Micros) -> Result<Reader, ReadError> {
        {
            let mut state = self.state.lock();
            if self.is_closed() {
                return Err(ReadError::Gone);
            }
            if state.being_read {
                return Err(ReadError::Busy);
            }
            state.being_read = true;
            state.last_seen = now;
        }
        Ok(Reader { session: self })
    }

    /// Closes the session if nobody reads it and nobody did for `timeout`. True for the one call that closed it.
    pub fn close_if_idle(&self, now: Micros, timeout: Micros) -> bool {
        let state = self.state.lock();
        let is_idle = !state.being_read && now.saturating_sub(state.last_seen) >= timeout;
        is_idle && !self.closed.swap(true, Ordering::AcqRel)
    }

    /// Closes the session whoever reads it; its reader ends. True for the one call that closed it.
    pub fn close(&self) -> bool {
        let newly = {
            let _deciding = self.state.lock();
            !self.closed.swap(true, Ordering::AcqRel)
        };
        self.waker.wake();
        newly
    }

    /// Makes a parked reader look again.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Messages waiting: a gauge.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Messages refused that no answer has declared yet: a gauge.
    pub fn undeclared(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The right to read a session, held by one poll at a time, until it is finished or dropped.
#[derive(Debug)]
pub struct Reader {
    session: Arc<Session>,
}

/// How much of a session one answer carries: what `commit` takes off it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub messages: usize,
    pub refused: usize,
}

impl Reader {
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Ready when messages wait, a refused one is to be declared, or the session was closed.
    pub fn poll_something(&self, cx: &Context<'_>) -> Poll<()> {
        self.session.waker.register(cx.waker());
        let session = &self.session;
        let something = !session.queue.is_empty()
            || session.refused.load(Ordering::Acquire) > 0
            || self.is_closed()
            || !session.state.lock().held.is_empty();
        if something { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Decides what an answer will carry: the oldest messages, at most `limit`, and whether any was refused. All of it
    /// stays in the session until `commit`.
    pub fn gather(&self, limit: usize) -> Taken {
        let session = &self.session;
        let mut state = session.state.lock();
        while state.held.len() < limit {
            let Some(message) = session.queue.take() else { break };
            state.held.push_back(message);
        }
        // After the queue: a gap before a message that is gathered is declared with it at the latest.
        let refused = session.refused.load(Ordering::Acquire);
        Taken { messages: state.held.len().min(limit), refused }
    }

    /// Shows what was gathered, oldest first, to `each`, which must not block.
    pub fn for_each(&self, taken: &Taken, each: impl FnMut(&SharedMessage)) {
        self.session.state.lock().held.iter().take(taken.messages).for_each(each);
    }

    /// Takes what an answer carries off the session; called when the answer begins to be written. `each` is shown the
    /// messages that go.
    pub fn commit(&self, taken: &Taken, mut each: impl FnMut(&SharedMessage)) {
        let session = &self.session;
        let mut state = session.state.lock();
        let mut bytes = 0;
        for message in state.held.drain(..taken.messages) {
            bytes += message.cost();
            each(&message);
        }
        if state.held.is_empty() {
            state.held = VecDeque::new();
        }
        session.queue.release(taken.messages);
        session.bytes.fetch_sub(bytes, Ordering::Relaxed);
        session.refused.fetch_sub(taken.refused, Ordering::AcqRel);
    }

    /// Ends the reading; the session counts as seen until `now`.
    pub fn finish(self, now: Micros) {
        self.session.state.lock().last_seen = now;
    }
}

impl Drop for Reader {
    /// Lets the next reader in.
    fn drop(&mut self) {
        // The waker belongs to a task that is over; dropped here, outside the lock.
        self.session.waker.take();
        self.session.state.lock().being_read = false;
    }
}
