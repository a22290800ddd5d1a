//! A message as it waits in queues: encoded once, shared by every session it goes to.

use std::sync::Arc;

use serde::Serialize;

use super::Micros;

/// Memory a queued message costs beside its text: the shared block, its place in a queue. Counted so that a flood of
/// tiny messages meets the byte bound too.
const OVERHEAD_BYTES: usize = 64;

#[derive(Debug)]
pub struct Message {
    json: Box<[u8]>,
    accepted_at: Micros,
}

pub type SharedMessage = Arc<Message>;

#[derive(Serialize)]
struct Delivered<'a> {
    sender: &'a str,
    text: &'a str,
}

impl Message {
    pub fn new(sender: &str, text: &str, accepted_at: Micros) -> SharedMessage {
        let frame = r#"{"sender":"","text":""}"#.len();
        let mut json = Vec::with_capacity(frame + sender.len() + text.len());
        serde_json::to_writer(&mut json, &Delivered { sender, text }).expect("strings always encode");
        // Exactly as long, where it was written beyond what was expected: it is counted by its length.
        Arc::new(Self { json: json.into_boxed_slice(), accepted_at })
    }

    /// The message as a poll delivers it: a JSON object with exactly `sender` and `text`.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    pub fn accepted_at(&self) -> Micros {
        self.accepted_at
    }

    /// Bytes it counts for against a session's bound.
    pub fn cost(&self) -> usize {
        self.json.len() + OVERHEAD_BYTES
    }
}
