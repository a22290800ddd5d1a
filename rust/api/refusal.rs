//! Every way a hot route can say no, and the answer each becomes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::reply::Reply;
use super::send::MAX_BODY;
use super::token::TokenError;

/// Field to the sentences that blame it.
pub type FieldErrors = BTreeMap<&'static str, Vec<&'static str>>;

#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Token(TokenError),
    /// The token is good, its user is deleted or never was.
    NoSuchUser,
    BodyTooLarge,
    /// Not HTTP, as is seen only once there is a request to answer.
    Malformed,
    NotJson,
    Fields(FieldErrors),
    OverRate {
        retry_after: u32,
    },
    NoSuchChat,
    MayNotPost,
    NoSuchRecipient,
    RecipientOffline,
    RecipientFull,
    TooManySessions {
        retry_after: u32,
    },
    TooManyUsers,
    SessionBusy,
    SessionGone,
    Unavailable,
    /// The application behind the edge does not answer.
    ApplicationUnavailable,
    /// The client's address has as many connections as it may.
    TooManyConnections,
    Stopping,
}

/// Seconds after which a client may find the database or a successor there, or a queue read.
const RETRY_AFTER: u32 = 1;

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        use Refusal::{
            ApplicationUnavailable, BodyTooLarge, Fields, Malformed, MayNotPost, NoSuchChat, NoSuchRecipient,
            NoSuchUser, NotJson, OverRate, RecipientFull, RecipientOffline, SessionBusy, SessionGone, Stopping, Token,
            TooManyConnections, TooManySessions, TooManyUsers, Unavailable,
        };
        let (status, message, errors, retry_after) = match refusal {
            Token(why) => (401, why.sentence(), None, None),
            NoSuchUser => (401, "Invalid user auth", None, None),
            BodyTooLarge => return Self::refusal(413, &format!("The body is over {MAX_BODY} bytes"), None, None),
            Malformed => (400, "The request is malformed", None, None),
            NotJson => (400, "The body is not a JSON object", None, None),
            Fields(errors) => (400, "Some fields are missing or wrong", Some(json!(errors)), None),
            OverRate { retry_after } => (429, "Enhance your calm!", None, Some(retry_after)),
            NoSuchChat => (404, "No such chat", Some(json!({"chat_id": ["No such chat"]})), None),
            MayNotPost => (403, "You may not post in this chat", None, None),
            NoSuchRecipient => (404, "No such user", Some(json!({"recipient": ["No such user"]})), None),
            RecipientOffline => (409, "The recipient is offline", None, None),
            RecipientFull => (503, "A session of the recipient is full", None, Some(RETRY_AFTER)),
            TooManySessions { retry_after } => (429, "You have too many sessions", None, Some(retry_after)),
            TooManyUsers => (503, "Too many users are online", None, Some(RETRY_AFTER)),
            SessionBusy => (409, "This session is being polled already", None, None),
            SessionGone => (410, "There is no such session", None, None),
            Unavailable => (503, "The database does not answer", None, Some(RETRY_AFTER)),
            ApplicationUnavailable => (503, "The application does not answer", None, Some(RETRY_AFTER)),
            TooManyConnections => (503, "Too many connections", None, Some(RETRY_AFTER)),
            Stopping => (503, "The server is stopping", None, Some(RETRY_AFTER)),
        };
        Self::refusal(status, message, errors, retry_after)
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: String,
    message: &'a str,
    details: Details,
}

#[derive(Serialize)]
struct Details {
    errors: serde_json::Value,
}

impl Reply {
    /// The contract's error body; `errors` is the message itself where no field is to blame.
    fn refusal(status: u16, message: &str, errors: Option<serde_json::Value>, retry_after: Option<u32>) -> Self {
        let errors = errors.unwrap_or_else(|| message.into());
        let body = ErrorBody { code: status.to_string(), message, details: Details { errors } };
        Self::json(status, serde_json::to_vec(&body).expect("strings always encode"), retry_after)
    }
}
