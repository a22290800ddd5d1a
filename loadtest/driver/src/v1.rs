//! Version 1 of the HTTP API, as far as a load needs it: the requests' paths and bodies, and what answers say.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use hyper::Method;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::inbox::Batch;

pub const SEND: &str = "/v1/messages/send";

#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub authorization: HeaderValue,
}

const PASSWORD: &str = "Load-test-1";

/// A request that is no message's.
#[derive(Clone)]
pub struct Aside {
    pub method: Method,
    pub path: String,
    pub authorization: HeaderValue,
    pub body: String,
}

pub fn login(user: &User) -> Aside {
    let body = json!({"user": {"username": user.name, "password": PASSWORD}}).to_string();
    let authorization = user.authorization.clone();
    Aside { method: Method::POST, path: "/v1/users/login".to_owned(), authorization, body }
}

pub fn profile(user: &User) -> Aside {
    let (path, authorization) = (format!("/v1/users/{}", user.name), user.authorization.clone());
    Aside { method: Method::GET, path, authorization, body: String::new() }
}

pub async fn register(client: &mut Client, name: String) -> Result<User> {
    let body = json!({"user": {"username": name, "password": PASSWORD, "display_name": "Load test"}});
    let answer = client.ask(Method::POST, "/v1/users/register", None, body.to_string()).await?;
    let token = text(&answer, 200, "/user/token").context("registering a user")?;
    Ok(User { name, authorization: HeaderValue::try_from(format!("Bearer {token}"))? })
}

/// Makes the private chat of the two; returns its id.
pub async fn private_chat(client: &mut Client, user: &User, with: &User) -> Result<String> {
    let body = json!({"target_username": with.name}).to_string();
    let answer = client.ask(Method::POST, "/v1/chats/private", Some(&user.authorization), body).await?;
    text(&answer, 201, "/chat_id").context("making a chat")
}

/// Opens a session; `None` where the user has as many as the server allows. Returns the path of its polls.
pub async fn start(client: &mut Client, user: &User) -> Result<Option<String>> {
    let answer = client.ask(Method::POST, "/v1/messages/poll/start", Some(&user.authorization), "").await?;
    if answer.status == 429 {
        return Ok(None);
    }
    let id = text(&answer, 200, "/session_id").context("opening a session")?;
    Ok(Some(format!("/v1/messages/poll/{id}")))
}

/// A send's body.
pub fn message(chat_id: &str, text: &str) -> String {
    json!({"message": {"chat_id": chat_id, "payload": text}}).to_string()
}

/// What a poll brings.
#[derive(Deserialize)]
struct Polled<'a> {
    resync_required: bool,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// Reads a poll's answer.
pub fn batch(answer: &Answer) -> Result<Batch> {
    if answer.status != 200 {
        bail!("a poll was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    let polled: Polled = serde_json::from_slice(&answer.body).context("a poll's answer")?;
    let texts = polled.messages.into_iter().map(|message| message.text.into_owned()).collect();
    Ok(Batch { resync_required: polled.resync_required, texts })
}

/// The text at `pointer` of an answer that must have `status`.
fn text(answer: &Answer, status: u16, pointer: &str) -> Result<String> {
    if answer.status != status {
        bail!("the server answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    let body: Value = serde_json::from_slice(&answer.body)?;
    Ok(body.pointer(pointer).and_then(Value::as_str).context("an answer of another form")?.to_owned())
}
