//! Committed messages to whom they are for, and word to those who may miss one.

use std::sync::Arc;

use super::directory::Chat;
use super::journal::{Batch, Claim, MessageId, Recipients, Repeats};
use super::mailbox::Delivery;
use super::{Hub, Micros, Unavailable, UserId};

/// Whom a message goes to.
enum Audience {
    Members(Arc<Chat>),
    One(UserId),
    /// Who is in the chat cannot be known now; this is how it was.
    Unknown(Arc<Chat>),
    Nobody,
}

impl Hub {
    /// Delivers a committed batch and answers its senders. Who is in a chat is what the directory says now: whoever
    /// changes a chat commits, tells the directory, and then answers, so one who was removed gets nothing later. A chat
    /// that the directory has forgotten meanwhile is loaded first, which keeps the order of commits.
    pub async fn publish(&self, batch: Batch, now: Micros) {
        let mut audiences = Vec::with_capacity(batch.len());
        for (_, recipients) in batch.deliveries() {
            audiences.push(self.audience(recipients, now).await);
        }
        let deliveries = batch.deliveries().zip(&audiences).map(|((message, _), audience)| match audience {
            Audience::Members(chat) => self.deliver(message, members(chat)),
            Audience::One(user) => self.deliver(message, [*user]),
            Audience::Unknown(chat) => {
                self.declare_gap(members(chat));
                Delivery::default()
            }
            Audience::Nobody => Delivery::default(),
        });
        let deliveries = deliveries.collect();
        self.stats.journal_committed.add(batch.len());
        self.journal.settle_committed(batch, deliveries);
    }

    async fn audience(&self, recipients: &Recipients, now: Micros) -> Audience {
        match recipients {
            Recipients::One(user) => Audience::One(*user),
            Recipients::Members(chat) => match self.directory.chat(&chat.id, now).await {
                Ok(Some(chat)) => Audience::Members(chat),
                Ok(None) => Audience::Nobody,
                Err(Unavailable) => Audience::Unknown(Arc::clone(chat)),
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

    /// Answers those whose client ids were used before: `first` finds for which message. Where it finds none, they are to
    /// try again.
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
                    self.declare_gap(members(&self.directory.known_chat(&chat.id, now).unwrap_or(Arc::clone(chat))));
                }
            }
        }
        self.stats.journal_unknown.add(batch.answer_unknown());
    }
}

fn members(chat: &Chat) -> impl Iterator<Item = UserId> {
    chat.members().iter().map(|member| member.user)
}
