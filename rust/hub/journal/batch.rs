//! One batch, from when it is taken until its outcome is known.

use super::{Claim, Entry, Journal, MessageId, Outcome, Recipients, rows};
use crate::hub::mailbox::Delivery;
use crate::hub::message::SharedMessage;
use crate::hub::{Micros, UserId};

/// To be settled by the hub that it is from: `publish` or `give_up`.
#[derive(Debug)]
pub struct Batch {
    entries: Vec<Entry>,
    pub taken_at: Micros,
}

/// The client ids of a batch, column by column, each separated by `\n`, which none can contain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    pub count: usize,
    pub senders: String,
    pub client_ids: String,
    pub message_ids: String,
    pub chats: String,
}

impl Batch {
    pub(super) fn new(entries: Vec<Entry>, taken_at: Micros) -> Self {
        Self { entries, taken_at }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn ids(&self) -> impl Iterator<Item = MessageId> {
        self.entries.iter().map(|entry| entry.id)
    }

    /// How long each message waited to be taken.
    pub fn waits(&self) -> impl Iterator<Item = Micros> {
        self.entries.iter().map(|entry| self.taken_at - entry.accepted_at)
    }

    /// For `COPY messages (id, chat, sender, text) FROM STDIN (FORMAT binary)`.
    pub fn rows(&self) -> Vec<u8> {
        rows::encode(&self.entries)
    }

    pub fn claims(&self) -> Claims {
        let mut claims = Claims::default();
        for entry in &self.entries {
            let Some(client_id) = &entry.post.client_id else { continue };
            let fields = [
                (&mut claims.senders, &entry.post.sender as &dyn std::fmt::Display),
                (&mut claims.client_ids, client_id),
                (&mut claims.message_ids, &entry.id),
                (&mut claims.chats, &entry.post.chat),
            ];
            for (column, value) in fields {
                use std::fmt::Write;
                let separator = if claims.count == 0 { "" } else { "\n" };
                write!(column, "{separator}{value}").expect("a string takes all");
            }
            claims.count += 1;
        }
        claims
    }

    /// Takes out those whose client ids were claimed before: the ones that have one and are not among `claimed`.
    pub fn take_repeats(&mut self, claimed: &[MessageId]) -> Repeats {
        let is_repeat = |entry: &mut Entry| entry.post.client_id.is_some() && !claimed.contains(&entry.id);
        Repeats { entries: self.entries.extract_if(.., is_repeat).collect() }
    }

    /// Tells the senders that the outcome is unknown. It is still to be settled.
    pub fn answer_unknown(&mut self) -> usize {
        let waiting = self.entries.iter_mut().filter(|entry| entry.waiter.is_some());
        waiting.map(|entry| entry.answer(Outcome::Unknown)).count()
    }

    /// What goes to whom, in order.
    pub(in crate::hub) fn deliveries(&self) -> impl Iterator<Item = (&SharedMessage, &Recipients)> {
        self.entries.iter().map(|entry| (&entry.post.message, &entry.post.to))
    }
}

impl Journal {
    /// The batch is committed; `deliveries` says what became of each message.
    pub(in crate::hub) fn settle_committed(&self, batch: Batch, deliveries: Vec<Delivery>) {
        let committed = |(entry, delivery): (Entry, _)| {
            let id = entry.id;
            (entry, Outcome::Committed { id, delivery })
        };
        self.settle_batch(batch.entries.into_iter().zip(deliveries).map(committed).collect());
    }

    /// The batch is not in the database, and will not be.
    pub(in crate::hub) fn settle_failed(&self, batch: Batch) {
        self.settle_batch(batch.entries.into_iter().map(|entry| (entry, Outcome::Failed)).collect());
    }

    /// `first` finds the message that a client id was used for; where it finds none, it is not known.
    pub(in crate::hub) fn settle_repeats(&self, repeats: Repeats, first: impl Fn(&Claim) -> Option<MessageId>) {
        let found = |entry: Entry| {
            let id = entry.claim().and_then(|claim| first(&claim));
            (entry, id.map_or(Outcome::Failed, Outcome::Repeated))
        };
        self.settle(repeats.entries.into_iter().map(found).collect());
    }
}

/// Messages whose client ids the database had already, so that they are not stored again.
#[derive(Debug)]
pub struct Repeats {
    entries: Vec<Entry>,
}

impl Repeats {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sender and client id of each.
    pub fn claims(&self) -> impl Iterator<Item = (UserId, &str)> {
        self.entries.iter().filter_map(|entry| Some((entry.post.sender, entry.post.client_id.as_deref()?)))
    }
}
