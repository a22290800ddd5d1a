//! `POST /v1/messages/poll/start`.

use super::Api;
use super::refusal::Refusal;
use super::reply::Reply;
use crate::hub::{OpenError, whole_seconds};

impl Api {
    /// Opens a session for the token's user.
    pub async fn start(&self, authorization: Option<&str>) -> Reply {
        self.try_start(authorization).await.unwrap_or_else(Reply::from)
    }

    async fn try_start(&self, authorization: Option<&str>) -> Result<Reply, Refusal> {
        let now = self.clock.now();
        let user = self.identify(authorization, now).await?;
        if self.hub.is_refusing() {
            return Err(Refusal::Stopping);
        }
        let session = self.hub.open(user.id, now).map_err(|error| match error {
            // One that is abandoned is collected after the idle time; a client that closed its page finds room by then.
            OpenError::TooManySessions => Refusal::TooManySessions {
                retry_after: whole_seconds(self.hub.settings().session_idle_timeout).max(1) as u32,
            },
            OpenError::TooManyUsers => Refusal::TooManyUsers,
        })?;
        Ok(Reply::json(200, format!(r#"{{"session_id":"{}"}}"#, session.id()).into_bytes(), None))
    }
}
