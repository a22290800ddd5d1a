//! `GET /v1/messages/poll/{session_id}`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Api;
use super::identify::judge;
use super::refusal::Refusal;
use super::reply::Reply;
use crate::hub::session::{ReadError, Reader, Taken};
use crate::hub::{Micros, UserId, whole_seconds};

/// Seconds over which clients come back after a planned stop: a restart takes two or three.
const RETRY_SPREAD: u32 = 5;

/// A poll under way: the session's one reader. Dropped at any point (the client went away, say), it lets the next poll
/// in at once and has taken nothing.
pub struct Polling {
    api: Arc<Api>,
    reader: Option<Reader>,
    user: UserId,
    token_generation: i32,
    began: Micros,
    /// The session's own share of randomness, out of its id.
    jitter: u32,
}

impl Polling {
    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("there until the drop")
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        let now = self.api.clock.now();
        let stats = &self.api.hub.stats;
        stats.polling_active.down(1);
        stats.polling_duration_sec.record(whole_seconds(now - self.began));
        if let Some(reader) = self.reader.take() {
            reader.finish(now);
        }
    }
}

/// An answered poll of whose answer the client has nothing yet.
pub struct Polled {
    polling: Polling,
    taken: Taken,
}

impl Polled {
    /// Takes the answer's messages off the session: to be called when the first bytes were taken for the client.
    pub fn commit(self) {
        let stats = &self.polling.api.hub.stats;
        let now = self.polling.api.clock.now();
        self.polling.reader().commit(&self.taken, |message| {
            stats.queue_wait_latency_sec.record(whole_seconds(now - message.accepted_at()));
        });
        stats.batch_size.record(self.taken.messages as u64);
        stats.sessions_messages_sent.add(self.taken.messages);
        stats.resync_required.add(usize::from(self.taken.refused > 0));
    }
}

impl Api {
    /// Waits for something to deliver, at most for the polling time, and answers with what is there.
    pub async fn poll(self: Arc<Self>, authorization: Option<&str>, session_id: &str) -> Reply {
        self.try_poll(authorization, session_id).await.unwrap_or_else(Reply::from)
    }

    async fn try_poll(self: Arc<Self>, authorization: Option<&str>, session_id: &str) -> Result<Reply, Refusal> {
        let began = Instant::now();
        let user = self.identify(authorization, self.clock.now()).await?;
        let now = self.clock.now();
        let id = parse(session_id).ok_or(Refusal::SessionGone)?;
        let reader = self.hub.read(user.id, &id, now).map_err(|error| match error {
            ReadError::Busy => Refusal::SessionBusy,
            ReadError::Gone => Refusal::SessionGone,
        })?;
        self.hub.stats.polling_active.up();
        let polling = Polling {
            api: Arc::clone(&self),
            reader: Some(reader),
            user: user.id,
            token_generation: user.token_generation,
            began: now,
            jitter: id.as_fields().0,
        };
        drop(user);
        let judged = began.elapsed();

        polling.wait().await;

        let awake = Instant::now();
        let reply = polling.answer()?;
        self.hub.stats.polling_overhead_us.record((judged + awake.elapsed()).as_micros() as u64);
        Ok(reply)
    }
}

impl Polling {
    async fn wait(&self) {
        let hub = &self.api.hub;
        let something = poll_fn(|cx| match self.reader().poll_something(cx) {
            Poll::Pending if hub.is_stopping() || self.judge().is_err() => Poll::Ready(()),
            found => found,
        });
        let hold = Duration::from_micros(hub.settings().polling_time.unsigned_abs());
        // Over the time there is nothing to tell, and the answer is empty.
        let _ = tokio::time::timeout(hold, something).await;
    }

    /// Whether the token that began the poll is still good.
    fn judge(&self) -> Result<(), Refusal> {
        let user = self.api.hub.directory.known_user(self.user, self.api.clock.now());
        user.map_or(Ok(()), |user| judge(&user, self.token_generation))
    }

    fn answer(self) -> Result<Reply, Refusal> {
        self.judge()?;
        if self.reader().is_closed() {
            return Err(Refusal::SessionGone);
        }
        let limit = self.api.hub.settings().polling_max_size;
        let taken = self.reader().gather(limit);
        let resync: &[u8] = if taken.refused > 0 { b"true" } else { b"false" };
        let mut body = [br#"{"resync_required":"#, resync, br#","messages":["#].concat();
        self.reader().for_each(&taken, |message| {
            body.extend_from_slice(message.json());
            body.push(b',');
        });
        // The comma after the last one.
        body.truncate(body.len() - usize::from(taken.messages > 0));
        body.extend_from_slice(b"]}");
        // At a stop all come back to the successor; not all at once.
        let retry_after = (self.api.hub.is_stopping() && taken.messages == 0).then(|| 1 + self.jitter % RETRY_SPREAD);
        Ok(Reply::polled(body, retry_after, Polled { polling: self, taken }))
    }
}

/// Session ids are written with hyphens, as `poll/start` gives them; of the spellings that UUIDs have besides, none is
/// one but that in capitals.
pub(super) fn parse(session_id: &str) -> Option<Uuid> {
    (session_id.len() == 36).then(|| Uuid::try_parse(session_id).ok()).flatten()
}
