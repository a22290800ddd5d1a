//! Messages over WebSocket, as the centrifuge library and socket.io frame them.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::Address;
use crate::inbox::Batch;
use crate::v1::User;

#[derive(Clone, Copy)]
pub enum Dialect {
    /// JSON objects, one a line; `{}` is a ping, and its answer.
    Centrifuge,
    /// Engine.IO 4 with Socket.IO 5 in it: `2` is a ping, `3` its answer, `42[name, value]` an event.
    Socketio,
}

pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    dialect: Dialect,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Frame {
    push: Option<Push>,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "pub")]
    publication: Option<Publication>,
}

#[derive(Deserialize)]
struct Publication {
    data: Text,
}

impl Socket {
    /// Connects and is let in.
    pub async fn connected_to(address: &Address, path: &str, user: &User, dialect: Dialect) -> Result<Self> {
        let url = format!("ws://{}{path}", address.authority());
        let (stream, _) = client_async(url, address.connect().await?).await?;
        let mut socket = Self { stream, dialect };
        let token = user.authorization.to_str()?.strip_prefix("Bearer ").context("a bearer token")?;
        let (hello, welcome) = match dialect {
            Dialect::Centrifuge => (json!({"id": 1, "connect": {"token": token}}).to_string(), r#"{"id":1,"connect""#),
            Dialect::Socketio => {
                // The server opens.
                socket.text().await?;
                (format!("40{}", json!({"token": token})), "40")
            }
        };
        socket.stream.send(Message::text(hello)).await?;
        let answer = socket.text().await?;
        if !answer.starts_with(welcome) {
            bail!("the peer did not let us in: {answer}");
        }
        Ok(socket)
    }

    pub async fn next(&mut self) -> Result<Batch> {
        let frame = self.text().await?;
        let mut texts = Vec::new();
        match self.dialect {
            Dialect::Centrifuge => {
                for line in frame.lines().filter(|line| !line.is_empty()) {
                    if line == "{}" {
                        self.stream.send(Message::text("{}")).await?;
                    }
                    let frame: Frame = serde_json::from_str(line)?;
                    texts.extend(frame.push.and_then(|push| push.publication).map(|one| one.data.text));
                }
            }
            Dialect::Socketio => match frame.strip_prefix("42") {
                Some(event) => {
                    let (_, Text { text }): (String, Text) = serde_json::from_str(event)?;
                    texts.push(text);
                }
                None if frame == "2" => self.stream.send(Message::text("3")).await?,
                None => bail!("an unknown frame: {frame}"),
            },
        }
        Ok(Batch { resync_required: false, texts })
    }

    async fn text(&mut self) -> Result<String> {
        loop {
            match self.stream.next().await.context("the peer hung up")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(why) => bail!("the peer hung up: {why:?}"),
                _ => {}
            }
        }
    }
}
