//! Committed messages to whom they are for, and word to those who may miss one.
//!
//! # Idea
//!
//! A batch that is in the database is delivered message by message, in its own order, and then answers its senders.
//! What became of a batch that is not, or of which nobody knows, its senders hear at once, and who may miss something
//! gets a gap.
//!
//! # Invariants
//!
//! - What a sender is told of a committed message is true by then: it is delivered first, and answered after.
//! - Nothing of a batch is delivered before all its chats were looked for: one that must be loaded cannot be overtaken.
//! - Who is in a chat is looked up as its message is delivered, not as it was sent. Where it cannot be known, those who
//!   were in it get a gap instead of the message.
//!
//! # Orderings
//!
//! None of its own: a batch has one owner, and what it touches (directory, mailboxes, journal) orders itself.

use std::time::Duration;

use super::journal::{Batch, Claim, MessageId, Recipients, Repeats};
use super::mailbox::Delivery;
use super::message::SharedMessage;
use super::{Hub, Micros};

/// A query's worth, while the batch's senders and all behind them wait.
const LOADED_WITHIN: Duration = Duration::from_secs(2);

impl Hub {
    /// Delivers a committed batch and answers its senders. Who is in a chat is what the directory says when its message
    /// is delivered: whoever changes a chat commits, tells the directory, and then answers, so one who was removed gets
    /// nothing later. Chats that the directory has forgotten meanwhile are loaded first, all before anything is
    /// delivered, which keeps the order of commits.
    pub async fn publish(&self, batch: Batch, now: Micros) {
        let chats = batch.deliveries().filter_map(|(_, recipients)| match recipients {
            Recipients::Members(chat) => Some(&*chat.id),
            Recipients::One(_) => None,
        });
        if let Some(loading) = self.directory.load_chats(chats, now) {
            // Too late is as good as unavailable: the senders wait.
            let _ = tokio::time::timeout(LOADED_WITHIN, loading).await;
        }
        let deliveries = batch.deliveries().map(|(message, recipients)| self.publish_one(message, recipients, now));
        let deliveries = deliveries.collect();
        self.stats.journal_committed.add(batch.stored());
        self.journal.settle_committed(batch, deliveries);
    }

    fn publish_one(&self, message: &SharedMessage, recipients: &Recipients, now: Micros) -> Delivery {
        match recipients {
            Recipients::One(user) => self.deliver(message, [*user]),
            Recipients::Members(chat) => match self.directory.known_chat(&chat.id, now) {
                Some(Some(chat)) => self.deliver(message, chat.members()),
                Some(None) => Delivery::default(),
                None => {
                    // Who is in the chat cannot be known now; this is how it was.
                    self.declare_gap(chat.members());
                    Delivery::default()
                }
            },
        }
    }

    /// The batch is not in the database, and will not be.
    pub fn give_up(&self, batch: Batch) {
        self.stats.journal_failed.add(batch.len());
        self.journal.settle_failed(batch);
    }

    /// Gives up what has gathered and is in no batch yet.
    pub fn give_up_gathered(&self) {
        self.stats.journal_failed.add(self.journal.fail_gathered());
    }

    /// Answers those whose client ids were used before: `first` finds for which message. Where it finds none, they are
    /// told that it is unknown what became of theirs.
    pub fn answer_repeats(&self, repeats: Repeats, first: impl Fn(&Claim) -> Option<MessageId>) {
        self.stats.journal_repeats_stored.add(repeats.len());
        self.journal.settle_repeats(repeats, first);
    }

    /// Tells the senders of a batch that nobody knows whether it is committed, and those whom it is for that they may
    /// miss something. Should it turn out to be committed, it is still to be published.
    pub fn doubt(&self, batch: &mut Batch, now: Micros) {
        for (_, recipients) in batch.deliveries() {
            match recipients {
                Recipients::One(user) => self.declare_gap([*user]),
                Recipients::Members(chat) => {
                    let known = self.directory.known_chat(&chat.id, now).flatten();
                    self.declare_gap(known.as_ref().unwrap_or(chat).members());
                }
            }
        }
        self.stats.journal_unknown.add(self.journal.doubt(batch));
    }

    /// As `doubt`, of a batch of which nobody will say any more what became of it.
    pub fn lose(&self, mut batch: Batch, now: Micros) {
        self.doubt(&mut batch, now);
        self.journal.settle_lost(batch);
    }
}

#[cfg(test)]
mod tests;
