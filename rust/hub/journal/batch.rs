//! One batch, from when it is taken until its outcome is known.

use hashbrown::HashSet;

use super::{Entry, MessageId, Recipients, rows};
use crate::hub::message::SharedMessage;
use crate::hub::{Micros, UserId};

/// To be settled by the hub that it is from: `publish`, `give_up` or `lose`.
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

    /// Messages that are stored with it.
    pub fn stored(&self) -> usize {
        self.entries.iter().filter(|entry| entry.post.is_stored).count()
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
        let claimed: HashSet<_> = claimed.iter().collect();
        let is_repeat = |entry: &mut Entry| entry.post.client_id.is_some() && !claimed.contains(&entry.id);
        Repeats { entries: self.entries.extract_if(.., is_repeat).collect() }
    }

    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// What goes to whom, in order.
    pub(in crate::hub) fn deliveries(&self) -> impl Iterator<Item = (&SharedMessage, &Recipients)> {
        self.entries.iter().map(|entry| (&entry.post.message, &entry.post.to))
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

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}
