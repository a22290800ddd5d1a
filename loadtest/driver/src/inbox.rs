//! How a person is told of messages: by pychat's polls, or as a peer does it.

use std::rc::Rc;

use anyhow::{Context, Result};
use hyper::header::AUTHORIZATION;
use tokio::time::timeout;

use crate::client::{ANSWER_WITHIN, Address, Client};
use crate::peers::{Dialect, LongPoll, Peer, Socket};
use crate::setup::Session;
use crate::v1;

/// What came at once.
pub struct Batch {
    pub resync_required: bool,
    pub texts: Vec<String>,
}

pub enum Inbox {
    Pychat { client: Client, session: Session },
    Nchan(LongPoll),
    WebSocket(Box<Socket>),
}

impl Inbox {
    pub async fn connected_to(address: &Rc<Address>, session: Session, peer: Option<Peer>) -> Result<Self> {
        let socket = async |dialect| {
            let socket = Socket::connected_to(address, &session.path, &session.owner, dialect);
            let socket = timeout(ANSWER_WITHIN, socket).await.context("the peer does not let us in")??;
            Ok(Self::WebSocket(Box::new(socket)))
        };
        match peer {
            Some(Peer::Nchan) => Ok(Self::Nchan(LongPoll::connected_to(address, session.path).await?)),
            Some(Peer::Centrifuge) => socket(Dialect::Centrifuge).await,
            Some(Peer::Socketio) => socket(Dialect::Socketio).await,
            None | Some(Peer::Bare) => Ok(Self::Pychat { client: Client::connected_to(address).await?, session }),
        }
    }

    /// Waits for the next messages; there may be none.
    pub async fn next(&mut self) -> Result<Batch> {
        match self {
            Self::Pychat { client, session } => {
                let authorization = session.owner.authorization.clone();
                v1::batch(&client.poll(&session.path, [(AUTHORIZATION, authorization)]).await?)
            }
            Self::Nchan(poll) => poll.next().await,
            Self::WebSocket(socket) => socket.next().await,
        }
    }
}
