//! What became of messages, told to whoever waits for it.

use std::mem;

use tokio::sync::oneshot;

use super::{Batch, Claim, Entry, Journal, MessageId, Outcome, Repeats, Standing, memory};
use crate::hub::mailbox::Delivery;

/// Client ids that are settled before the senders get their turn at the lock: some microseconds.
const SETTLED_AT_ONCE: usize = 64;

impl Journal {
    /// The batch is committed; `deliveries` says what became of each message.
    pub(in crate::hub) fn settle_committed(&self, batch: Batch, deliveries: Vec<Delivery>) {
        let entries = batch.into_entries();
        let committed = |(entry, delivery): (&Entry, _)| Outcome::Committed { id: entry.id, delivery };
        let outcomes = entries.iter().zip(deliveries).map(committed).collect();
        self.settle(entries, outcomes);
        self.let_the_next_out();
    }

    /// The batch is not in the database, and will not be.
    pub(in crate::hub) fn settle_failed(&self, batch: Batch) {
        self.fail(batch.into_entries());
        self.let_the_next_out();
    }

    /// Gives up what has gathered and is in no batch yet.
    pub fn fail_gathered(&self) -> usize {
        let gathered = mem::take(&mut self.state.lock().gathered);
        let failed = gathered.iter().map(Vec::len).sum();
        gathered.into_iter().for_each(|entries| self.fail(entries));
        failed
    }

    /// `first` finds the message that a client id was used for. Where it finds none, the sender must not hear that the
    /// message is not stored: the database has just said that it is.
    pub(in crate::hub) fn settle_repeats(&self, repeats: Repeats, first: impl Fn(&Claim) -> Option<MessageId>) {
        let entries = repeats.into_entries();
        let found = |entry: &Entry| entry.claim().and_then(|claim| first(&claim));
        let outcomes = entries.iter().map(|entry| found(entry).map_or(Outcome::Unknown, Outcome::Repeated)).collect();
        self.settle(entries, outcomes);
    }

    /// Nobody knows whether the batch is committed. It is still to be settled. Returns how many messages' senders were
    /// told just now.
    pub(in crate::hub) fn doubt(&self, batch: &mut Batch) -> usize {
        let entries = batch.entries_mut();
        let repeats = self.take_waiting(entries, Some(Standing::Doubted));
        let waiting = entries.iter_mut().filter(|entry| entry.waiter.is_some());
        let told = waiting.map(|entry| entry.answer(Outcome::Unknown)).count();
        for (_, waiter) in repeats {
            let _ = waiter.send(Outcome::Unknown);
        }
        told
    }

    /// Nothing more will be heard of the batch, whose outcome is in doubt.
    pub(in crate::hub) fn settle_lost(&self, batch: Batch) {
        let entries = batch.into_entries();
        self.take_waiting(&entries, Some(Standing::Lost));
        self.release(&entries);
        self.let_the_next_out();
    }

    fn fail(&self, entries: Vec<Entry>) {
        let outcomes = vec![Outcome::Failed; entries.len()];
        self.settle(entries, outcomes);
    }

    /// Answers each with its outcome, and whoever repeats their client ids.
    fn settle(&self, entries: Vec<Entry>, outcomes: Vec<Outcome>) {
        for (entry, outcome) in entries.iter().zip(&outcomes) {
            if let (Some(claim), Outcome::Repeated(id)) = (entry.claim(), outcome.of_a_repeat()) {
                self.recent.insert(claim, id);
            }
        }
        let repeats = self.take_waiting(&entries, None);
        self.release(&entries);
        for (mut entry, outcome) in entries.into_iter().zip(&outcomes) {
            entry.answer(*outcome);
        }
        for (index, waiter) in repeats {
            let _ = waiter.send(outcomes[index].of_a_repeat());
        }
    }

    /// From now on the client ids of these entries stand like that, or are no claims any more. Returns those who
    /// repeated them until now, each with the index of its first.
    fn take_waiting(&self, entries: &[Entry], standing: Option<Standing>) -> Vec<(usize, oneshot::Sender<Outcome>)> {
        let claims = entries.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.claim()?)));
        let claims: Vec<_> = claims.collect();
        let mut waiting = Vec::new();
        for some in claims.chunks(SETTLED_AT_ONCE) {
            let mut state = self.state.lock();
            for (index, claim) in some {
                let repeats = match standing {
                    None => state.claims.remove(claim).map(|claimed| claimed.repeats),
                    Some(standing) => state.claims.get_mut(claim).map(|claimed| {
                        claimed.standing = standing;
                        mem::take(&mut claimed.repeats)
                    }),
                };
                let repeats = repeats.unwrap_or_default();
                state.pending -= repeats.len();
                state.bytes -= repeats.len() * memory::REPEAT;
                waiting.extend(repeats.into_iter().map(|waiter| (*index, waiter)));
            }
        }
        waiting
    }

    /// These are pending no longer.
    fn release(&self, entries: &[Entry]) {
        let bytes: usize = entries.iter().map(Entry::bytes).sum();
        let mut state = self.state.lock();
        state.pending -= entries.len();
        state.bytes -= bytes;
        state.shrink();
    }

    fn let_the_next_out(&self) {
        self.state.lock().is_out = false;
        self.writer.wake();
    }
}

impl Outcome {
    /// What someone is told who repeats the client id of a message with this outcome.
    fn of_a_repeat(self) -> Self {
        match self {
            Self::Committed { id, .. } => Self::Repeated(id),
            other => other,
        }
    }
}
