//! Makes the people, chats and sessions that a run needs, through the API like anybody.

use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::{Address, Client};
use crate::config::Config;
use crate::v1::{self, User};
use crate::v2;

/// Registrations at a time: the server hashes on all cores but one, so this many keep it busy.
const AT_ONCE: usize = 8;

/// A sender, its chat with a reader, and the sessions in which that one waits.
pub struct Pair {
    pub sender: User,
    pub send_path: String,
    pub chat_id: String,
    pub sessions: Vec<Session>,
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
    let mut pairs = Vec::new();
    let mut making = JoinSet::new();
    for number in 0..config.senders {
        if making.len() == AT_ONCE
            && let Some(made) = making.join_next().await
        {
            pairs.push(made??);
        }
        let (client, run, config) = (Client::new(address), run.clone(), config.clone());
        making.spawn_local(async move { make_pair(client, &format!("{run}-{number}"), &config).await });
    }
    while let Some(made) = making.join_next().await {
        pairs.push(made??);
    }
    let idle = open_idle(Client::new(address), &run, config.idle_polls as usize).await?;
    Ok(Scene { pairs, idle })
}

async fn make_pair(mut client: Client, name: &str, config: &Config) -> Result<Pair> {
    let sender = v1::register(&mut client, format!("{name}s")).await?;
    let reader = v1::register(&mut client, format!("{name}r")).await?;
    let chat_id = v1::private_chat(&mut client, &sender, &reader).await?;
    let mut opened = Vec::new();
    for _ in 0..config.sessions {
        let path = v1::start(&mut client, &reader).await?;
        let path = path.context("--sessions: more than the server's max_sessions_amount")?;
        opened.push(Session { owner: reader.clone(), path });
    }
    let send_path = if config.client_ids { v2::send_path(&chat_id) } else { v1::SEND.to_owned() };
    Ok(Pair { sender, send_path, chat_id, sessions: opened })
}

/// As many people as it takes, each with as many sessions as the server allows.
async fn open_idle(mut client: Client, run: &str, count: usize) -> Result<Vec<Session>> {
    let mut opened = Vec::new();
    for number in 0.. {
        if opened.len() == count {
            break;
        }
        let before = opened.len();
        let owner = v1::register(&mut client, format!("{run}-{number}i")).await?;
        while opened.len() < count
            && let Some(path) = v1::start(&mut client, &owner).await?
        {
            opened.push(Session { owner: owner.clone(), path });
        }
        if opened.len() == before {
            bail!("the server lets nobody open a session");
        }
    }
    Ok(opened)
}
