//! What pending messages take, and the room that is left.
//!
//! No less than what is allocated, whatever the senders send: `rust/tests/journal_allocations.rs` compares the two. Not in
//! it: the encoded rows of the one batch that is being written, and lists of members that only pending messages hold.

use super::{Entry, MAX_BYTES, MAX_ROWS, State};
use crate::hub::message::Message;

/// What counts the references of an `Arc`.
const COUNTS: usize = 2 * size_of::<usize>();
/// What a sender and who answers it share.
const WAITER: usize = block(96);
/// A message's place in its batch, whose room doubles.
const PLACE: usize = size_of::<Entry>() * MAX_ROWS.next_power_of_two() / MAX_ROWS + 1;
/// The batch that gathers: its room and the one that it grows out of.
const GATHERING: usize = 2 * MAX_ROWS * size_of::<Entry>();
/// Of the claims' table, when none is pending: some thousand client ids' worth.
const TABLE_KEPT: usize = 1 << 19;
/// Who repeats a message that is pending: the first of them has the list begin with places for four.
pub(super) const REPEAT: usize = WAITER + block(4 * size_of::<usize>());

/// A block of `size` bytes, as glibc has them.
const fn block(size: usize) -> usize {
    let whole = (size + size_of::<usize>()).next_multiple_of(16);
    if whole < 32 { 32 } else { whole }
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        let post = &self.post;
        let client_id = post.client_id.as_ref().map_or(0, |client_id| block(COUNTS + client_id.len()));
        let message = block(COUNTS + size_of::<Message>()) + block(post.message.json().len());
        PLACE + WAITER + block(post.text.len()) + message + client_id
    }
}

impl State {
    /// Bytes for what comes next.
    pub(super) fn room(&self) -> usize {
        let table = self.claims.allocation_size();
        let is_to_grow = self.claims.len() == self.claims.capacity();
        // Into one twice as large.
        let tables = if is_to_grow { 3 * table } else { table };
        MAX_BYTES.saturating_sub(self.bytes + tables + GATHERING)
    }

    /// Gives back what an onslaught of client ids has left.
    pub(super) fn shrink(&mut self) {
        if self.claims.is_empty() && self.claims.allocation_size() > TABLE_KEPT {
            self.claims.shrink_to(0);
        }
    }
}
