//! What both versions judge alike of a message, and its way to a chat.

use std::sync::Arc;

use super::refusal::{FieldErrors, Refusal};
use super::{Api, looked_up, text};
use crate::hub::directory::User;
use crate::hub::journal::{self, Accepted, MessageId, Outcome, Post, Recipients};
use crate::hub::mailbox::Delivery;
use crate::hub::message::Message;
use crate::hub::{Micros, UserId};

use super::clock::Clock;

/// A message that is where it belongs.
pub(super) struct Posted {
    pub id: MessageId,
    /// Else its client id was used before, for the message with this id.
    pub is_new: bool,
    pub delivery: Delivery,
}

impl Api {
    /// Takes a token of the sender's rate; then the text, if it keeps the rules.
    pub(super) fn judge_text<'a>(&self, sender: UserId, text: &'a str, now: Micros) -> Result<&'a str, Refusal> {
        self.hub.limiter.take(sender, now, &self.hub.settings().limiter).map_err(|over| {
            self.hub.stats.limiter_rejected.add(1);
            Refusal::OverRate { retry_after: over.retry_after }
        })?;
        let text = text::check(text).map_err(|broken| Refusal::Fields(FieldErrors::from([("text".into(), broken)])))?;
        self.expect_not_stopping()?;
        Ok(text)
    }

    /// To be asked again after a wait: what is delivered once the polls have ended, nobody reads. The journal, where
    /// messages go that way, knows by itself.
    pub(super) fn expect_not_stopping(&self) -> Result<(), Refusal> {
        if self.hub.is_refusing() { Err(Refusal::Stopping) } else { Ok(()) }
    }

    /// Posts into a chat that the sender may post in.
    pub(super) async fn post(
        &self,
        sender: &User,
        chat_id: &str,
        text: &str,
        client_id: Option<&str>,
        now: Micros,
    ) -> Result<Posted, Refusal> {
        let chat = looked_up(self.hub.directory.chat(chat_id, now)).await?.ok_or(Refusal::NoSuchChat)?;
        if !chat.member(sender.id).ok_or(Refusal::NoSuchChat)?.may_post {
            return Err(Refusal::MayNotPost);
        }
        let message = Message::new(&sender.username, text, now);
        let client_id = client_id.map(Arc::from);
        let is_stored = self.hub.settings().history.is_enabled;
        // One with a client id goes through the journal in any case: what it repeats may be from when messages were stored.
        if is_stored || client_id.is_some() {
            let (number, to) = (chat.number, Recipients::Members(chat));
            let text = text.into();
            return self
                .journal(Post { is_stored, sender: sender.id, chat: number, to, text, message, client_id })
                .await;
        }
        self.expect_not_stopping()?;
        let id = self.hub.journal.next_id(Clock::machine());
        Ok(Posted { id, is_new: true, delivery: self.hub.deliver(&message, chat.members()) })
    }

    /// Waits until the message is committed and delivered.
    pub(super) async fn journal(&self, post: Post) -> Result<Posted, Refusal> {
        let (hub, stats) = (&self.hub, &self.hub.stats);
        let accepted = hub.journal.accept(post, hub.settings().history.max_pending, Clock::machine());
        let outcome = match accepted {
            Ok(Accepted::Waiting(outcome)) => outcome.await.unwrap_or(Outcome::Unknown),
            Ok(Accepted::Repeating(outcome)) => {
                // Before the wait: many of them are what a slow database looks like, and their clients may not stay.
                stats.journal_repeats_recent.add(1);
                outcome.await.unwrap_or(Outcome::Unknown)
            }
            Ok(Accepted::Repeated(id)) => {
                stats.journal_repeats_recent.add(1);
                Outcome::Repeated(id)
            }
            Err(journal::Refused::Full) => {
                stats.journal_full.add(1);
                return Err(Refusal::JournalFull);
            }
            Err(journal::Refused::Doubted) => {
                stats.journal_doubted.add(1);
                return Err(Refusal::OutcomeUnknown);
            }
            Err(journal::Refused::Closed) => {
                stats.journal_closed.add(1);
                return Err(if hub.is_refusing() { Refusal::Stopping } else { Refusal::Unavailable });
            }
        };
        match outcome {
            Outcome::Committed { id, delivery } => Ok(Posted { id, is_new: true, delivery }),
            Outcome::Repeated(id) => Ok(Posted { id, is_new: false, delivery: Delivery::default() }),
            Outcome::Failed => Err(Refusal::Unavailable),
            Outcome::Unknown => Err(Refusal::OutcomeUnknown),
        }
    }
}
