//! An answer, ready to be written.

use super::poll::Polled;

/// A status and a JSON body. A poll's carries the right to take its messages off the session: where
/// that is not committed, they stay first in line for the next poll.
pub struct Reply {
    pub status: u16,
    pub media_type: &'static str,
    pub body: Vec<u8>,
    /// Seconds, for `Retry-After`: on every 429 and 503, and where a stop ended a poll.
    pub retry_after: Option<u32>,
    polled: Option<Polled>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Vec<u8>, retry_after: Option<u32>) -> Self {
        Self { status, media_type: "application/json", body, retry_after, polled: None }
    }

    pub(super) fn problem(status: u16, body: Vec<u8>, retry_after: Option<u32>) -> Self {
        Self { media_type: "application/problem+json", ..Self::json(status, body, retry_after) }
    }

    pub(super) fn polled(body: Vec<u8>, retry_after: Option<u32>, polled: Polled) -> Self {
        Self { polled: Some(polled), ..Self::json(200, body, retry_after) }
    }

    /// `GET /service/live`, word for word as the application has it.
    pub fn live() -> Self {
        Self::json(200, br#"{"status":"live"}"#.to_vec(), None)
    }

    /// What to commit when the first bytes were taken for the client; `None` where the reply carries no messages' worth.
    pub fn take_polled(&mut self) -> Option<Polled> {
        self.polled.take()
    }
}
