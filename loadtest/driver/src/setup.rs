//! Makes the people, chats and sessions that a run needs, through the API like anybody.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::header::HeaderValue;
use uuid::Uuid;

use crate::client::{Address, Client};
use crate::config::Config;
use crate::mint::Mint;
use crate::v1::{self, User};
use crate::v2;

/// Registrations at a time: the server hashes on all cores but one, so this many keep it busy.
const AT_ONCE: usize = 8;
/// Of one idle person, what a server allows by default. More would share what a person costs among more polls than it is
/// in service.
const IDLE_SESSIONS: usize = 5;
/// Sessions of idle people, for the progress.
const SHOWN_EVERY: usize = 1_000;

/// A sender, its chat with a reader, and the sessions in which that one waits.
pub struct Pair {
    pub sender: User,
    pub send_path: String,
    pub chat_id: String,
    pub sessions: Vec<Session>,
    /// Where each send is to have a token of its own.
    pub mint: Option<Mint>,
}

impl Pair {
    /// The next send's.
    pub fn authorization(&self) -> Result<HeaderValue> {
        self.mint.as_ref().map_or_else(|| Ok(self.sender.authorization.clone()), Mint::authorization)
    }
}

/// A session of one user's, to be polled.
pub struct Session {
    pub owner: User,
    pub path: String,
}

pub struct Scene {
    pub pairs: Vec<Pair>,
    pub idle: Vec<Session>,
}

pub async fn set_up(address: &Rc<Address>, config: &Config) -> Result<Scene> {
    // Names nobody has: letters first, at most 32.
    let run = format!("l{}", &Uuid::new_v4().simple().to_string()[..12]);
    let pairs = stream::iter(0..config.senders)
        .map(|number| make_pair(Client::new(address), format!("{run}-{number}"), config))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let idle_polls = config.idle_polls as usize;
    let opened = Cell::new(0);
    let idle: Vec<_> = stream::iter((0..idle_polls).step_by(IDLE_SESSIONS))
        .map(|begin| {
            let count = IDLE_SESSIONS.min(idle_polls - begin);
            open_idle(Client::new(address), format!("{run}-{begin}i"), count)
        })
        .buffer_unordered(AT_ONCE)
        .inspect_ok(|sessions| {
            let before = opened.replace(opened.get() + sessions.len());
            if before / SHOWN_EVERY < opened.get() / SHOWN_EVERY {
                eprintln!("opened {} sessions of {idle_polls}", opened.get());
            }
        })
        .try_collect()
        .await?;
    Ok(Scene { pairs, idle: idle.into_iter().flatten().collect() })
}

async fn make_pair(mut client: Client, name: String, config: &Config) -> Result<Pair> {
    let sender = v1::register(&mut client, format!("{name}s")).await?;
    let reader = v1::register(&mut client, format!("{name}r")).await?;
    let chat_id = v1::private_chat(&mut client, &sender, &reader).await?;
    let sessions = open(&mut client, &reader, config.sessions as usize).await?;
    let send_path = if config.client_ids { v2::send_path(&chat_id) } else { v1::SEND.to_owned() };
    let mint = config.cold_tokens.then(|| Mint::new(&sender)).transpose()?;
    Ok(Pair { sender, send_path, chat_id, sessions, mint })
}

async fn open_idle(mut client: Client, name: String, count: usize) -> Result<Vec<Session>> {
    let owner = v1::register(&mut client, name).await?;
    open(&mut client, &owner, count).await
}

async fn open(client: &mut Client, owner: &User, count: usize) -> Result<Vec<Session>> {
    let mut opened = Vec::new();
    while opened.len() < count {
        let path = v1::start(client, owner).await?;
        let path = path.with_context(|| format!("{count} sessions: more than the server's max_sessions_amount"))?;
        opened.push(Session { owner: owner.clone(), path });
    }
    Ok(opened)
}
