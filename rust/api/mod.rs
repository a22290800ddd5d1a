//! What each hot route means: a request's bytes in, a status and the reply's bytes out. Whoever serves HTTP calls this;
//! it knows no HTTP server and no Python.

mod clock;
mod contract;
mod field;
mod identify;
mod object;
mod poll;
mod post;
mod post_message;
mod refusal;
mod reply;
mod send;
mod start;
mod text;
pub mod token;

use std::future::Future;
use std::time::Duration;

pub use clock::Clock;
pub use contract::Contract;
pub use poll::Polled;
pub use refusal::Refusal;
pub use reply::Reply;
pub use send::MAX_BODY;

use crate::hub::{Hub, Unavailable};
use token::Verifier;

/// How long a request waits for the loader. A database that is slow rather than gone answers within this.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The hot routes on their hub: `send`, `start`, `poll`, `post_message`, and `identify` for the other routes.
pub struct Api {
    pub hub: Hub,
    pub clock: Clock,
    verifier: Verifier,
}

impl Api {
    pub fn new(verifier: Verifier) -> Self {
        Self { hub: Hub::default(), clock: Clock::default(), verifier }
    }
}

/// Waits for the directory, but not for ever.
async fn looked_up<V>(lookup: impl Future<Output = Result<Option<V>, Unavailable>>) -> Result<Option<V>, Refusal> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(Unavailable)) | Err(_) => Err(Refusal::Unavailable),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
