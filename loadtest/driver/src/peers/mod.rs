//! The servers that pychat is compared with (`loadtest/peers`): how one sends to them and is told.
//!
//! Each lets people in by tokens that are minted here, with the key that the peer was started with, and names the place
//! of a person's messages `user:<name>`.

mod nchan;
mod websocket;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;
use hyper::header::HeaderValue;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use crate::config::Config;
use crate::setup::{Pair, Scene, Session};
use crate::v1::{self, User};

pub use nchan::LongPoll;
pub use websocket::{Dialect, Socket};

/// The variable that holds the key, here and in the peers.
const KEY: &str = "PEER_SIGNING_KEY";
/// Longer than any run.
const TOKEN_LIFETIME_SEC: u64 = 86_400;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    Nchan,
    Centrifuge,
    Socketio,
    /// Answers sends and delivers nothing: what the HTTP alone costs.
    Bare,
}

impl Peer {
    /// The body of a send.
    pub fn message(self, channel: &str, text: &str) -> String {
        match self {
            Self::Nchan => text.to_owned(),
            Self::Centrifuge | Self::Socketio | Self::Bare => v1::message(channel, text),
        }
    }

    /// People whom the peer need not be told of before.
    pub fn scene(self, config: &Config) -> Result<Scene> {
        let key = std::env::var(KEY).with_context(|| format!("--peer needs {KEY}"))?;
        let key = EncodingKey::from_secret(key.as_bytes());
        // Names of this run alone: what others left in a channel is none of its own.
        let run = Uuid::new_v4().simple();
        let mut pairs = Vec::new();
        for number in 0..config.senders {
            let (sender, reader) = (user(format!("s{number}-{run}"), &key)?, user(format!("r{number}-{run}"), &key)?);
            let chat_id = channel(&reader);
            let send_path = match self {
                Self::Nchan => format!("/publish?channel={chat_id}"),
                Self::Centrifuge | Self::Socketio => "/publish".to_owned(),
                Self::Bare => "/return".to_owned(),
            };
            let sessions = (0..config.sessions).filter_map(|_| self.session(reader.clone())).collect();
            pairs.push(Pair { sender, send_path, chat_id, sessions, mint: None });
        }
        let mut idle = Vec::new();
        for number in 0..config.idle_polls {
            idle.extend(self.session(user(format!("i{number}-{run}"), &key)?));
        }
        Ok(Scene { pairs, idle })
    }

    fn session(self, owner: User) -> Option<Session> {
        let path = match self {
            Self::Nchan => format!("/subscribe?channel={}", channel(&owner)),
            Self::Centrifuge => "/connection/websocket".to_owned(),
            Self::Socketio => "/socket.io/?EIO=4&transport=websocket".to_owned(),
            Self::Bare => return None,
        };
        Some(Session { owner, path })
    }
}

fn channel(user: &User) -> String {
    format!("user:{}", user.name)
}

fn user(name: String, key: &EncodingKey) -> Result<User> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    // pychat's claims, so that all judge alike.
    let claims = json!({
        "iss": "realtime-chat", "id": name, "jti": name, "iat": now, "exp": now + TOKEN_LIFETIME_SEC,
    });
    let token = jsonwebtoken::encode(&Header::default(), &claims, key)?;
    Ok(User { name, authorization: HeaderValue::try_from(format!("Bearer {token}"))? })
}
