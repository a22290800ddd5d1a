//! Messages as Postgres reads them from `COPY ... (FORMAT binary)`.

use super::Entry;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// No flags, no further header.
const FLAGS_AND_EXTENSION: [u8; 8] = [0; 8];
const END: i16 = -1;
/// Of a row, without the text: the count of its columns, and four of them, each with its length.
const FRAME: usize = 2 + 3 * (4 + 8) + 4;

/// The columns `id, chat, sender, text`.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let text: usize = entries.iter().map(|entry| entry.post.text.len()).sum();
    let mut rows = Vec::with_capacity(SIGNATURE.len() + 8 + entries.len() * FRAME + text + 2);
    rows.extend_from_slice(SIGNATURE);
    rows.extend_from_slice(&FLAGS_AND_EXTENSION);
    for Entry { id, post, .. } in entries.iter().filter(|entry| entry.post.is_stored) {
        rows.extend_from_slice(&4_i16.to_be_bytes());
        for number in [*id, post.chat, post.sender] {
            rows.extend_from_slice(&8_i32.to_be_bytes());
            rows.extend_from_slice(&number.to_be_bytes());
        }
        rows.extend_from_slice(&(post.text.len() as i32).to_be_bytes());
        rows.extend_from_slice(post.text.as_bytes());
    }
    rows.extend_from_slice(&END.to_be_bytes());
    rows
}
