//! Every way a hot route can say no, and the answer each becomes in either version.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::contract::Contract;
use super::reply::Reply;
use super::token::TokenError;

/// Field to the sentences that blame it.
pub type FieldErrors = BTreeMap<Cow<'static, str>, Vec<&'static str>>;

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
    /// One of the two may be in no further chat.
    TooManyChats,
    TooManySessions {
        retry_after: u32,
    },
    TooManyUsers,
    SessionBusy,
    SessionGone,
    Unavailable,
    /// As many messages wait to be stored as may.
    JournalFull,
    /// The message may be stored or not.
    OutcomeUnknown,
    /// The application behind the edge does not answer.
    ApplicationUnavailable,
    /// It has as much to do as it may.
    Overloaded,
    /// Its event loop has not turned for a while.
    ApplicationSilent,
    /// There are as many as may be, in total or of the client's address.
    TooManyConnections,
    Stopping,
}

/// Seconds after which a client may find the database or a successor there, or a queue read.
const RETRY_AFTER: u32 = 1;

/// What a refusal tells the client, in whichever form.
struct Told {
    status: u16,
    /// The word by which clients of version 2 decide; `pychat/errors.py` has the same ones.
    code: &'static str,
    message: Cow<'static, str>,
    errors: FieldErrors,
    retry_after: Option<u32>,
}

impl Refusal {
    /// The answer to a request under this contract.
    pub fn reply(&self, contract: Contract) -> Reply {
        let told = self.told(contract);
        match contract {
            Contract::V1 => v1_reply(&told),
            Contract::V2 => problem(&told),
        }
    }

    fn told(&self, contract: Contract) -> Told {
        use Refusal::{
            ApplicationSilent, ApplicationUnavailable, BodyTooLarge, Fields, JournalFull, Malformed, MayNotPost,
            NoSuchChat, NoSuchRecipient, NoSuchUser, NotJson, OutcomeUnknown, OverRate, Overloaded, RecipientFull,
            RecipientOffline, SessionBusy, SessionGone, Stopping, Token, TooManyChats, TooManyConnections,
            TooManySessions, TooManyUsers, Unavailable,
        };
        let (status, code, message) = match self {
            Token(why) => (401, why.code(), why.sentence()),
            NoSuchUser => (401, "user_gone", "Invalid user auth"),
            BodyTooLarge => (413, "body_too_large", ""),
            Malformed => (400, "malformed_request", "The request is malformed"),
            NotJson => (400, "not_json", "The body is not a JSON object"),
            Fields(_) => (400, "validation_failed", "Some fields are missing or wrong"),
            OverRate { .. } => (429, "rate_limited", "Enhance your calm!"),
            NoSuchChat => (404, "chat_not_found", "No such chat"),
            MayNotPost => (403, "may_not_post", "You may not post in this chat"),
            NoSuchRecipient => (404, "user_not_found", "No such user"),
            RecipientOffline => (409, "recipient_offline", "The recipient is offline"),
            RecipientFull => (503, "recipient_full", "A session of the recipient is full"),
            TooManyChats => (409, "too_many_chats", "One of the two is in as many chats as one may be"),
            TooManySessions { .. } => (429, "too_many_sessions", "You have too many sessions"),
            TooManyUsers => (503, "too_many_users", "Too many users are online"),
            SessionBusy => (409, "session_busy", "This session is being polled already"),
            SessionGone => (410, "session_gone", "There is no such session"),
            Unavailable => (503, "database_unavailable", "The database does not answer"),
            JournalFull => (503, "journal_full", "Too many messages wait to be stored"),
            OutcomeUnknown => (503, "outcome_unknown", "It is not known whether the message was stored"),
            ApplicationUnavailable => (503, "application_unavailable", "The application does not answer"),
            ApplicationSilent => (503, "not_ready", "Not ready: the event loop is silent"),
            Overloaded => (503, "overloaded", "The server has too much to do"),
            TooManyConnections => (503, "too_many_connections", "Too many connections"),
            Stopping => (503, "stopping", "The server is stopping"),
        };
        Told {
            status,
            code,
            message: match self {
                BodyTooLarge => format!("The body is over {} bytes", contract.max_body()).into(),
                _ => message.into(),
            },
            errors: match self {
                Fields(errors) => errors.clone(),
                NoSuchChat => FieldErrors::from([("chat_id".into(), vec![message])]),
                NoSuchRecipient => FieldErrors::from([("recipient".into(), vec![message])]),
                _ => FieldErrors::new(),
            },
            retry_after: match self {
                OverRate { retry_after } | TooManySessions { retry_after } => Some(*retry_after),
                _ => (status == 503).then_some(RETRY_AFTER),
            },
        }
    }
}

/// Contract 1's: the hot routes that are its alone answer in it.
impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        refusal.reply(Contract::V1)
    }
}

#[derive(Serialize)]
struct V1Body<'a> {
    code: String,
    message: &'a str,
    details: Details,
}

#[derive(Serialize)]
struct Details {
    errors: serde_json::Value,
}

/// `errors` is the message itself where no field is to blame.
fn v1_reply(told: &Told) -> Reply {
    let errors = if told.errors.is_empty() { json!(told.message) } else { json!(told.errors) };
    let body = V1Body { code: told.status.to_string(), message: &told.message, details: Details { errors } };
    Reply::json(told.status, encoded(&body), told.retry_after)
}

/// RFC 9457's, with two members more.
#[derive(Serialize)]
struct Problem<'a> {
    status: u16,
    title: &'static str,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a FieldErrors>,
}

fn problem(told: &Told) -> Reply {
    let title = StatusCode::from_u16(told.status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    // What a 404 is about stands in the path, not in a field.
    let errors = (told.status == 400 && !told.errors.is_empty()).then_some(&told.errors);
    let body = Problem { status: told.status, title, detail: &told.message, code: told.code, errors };
    Reply::problem(told.status, encoded(&body), told.retry_after)
}

fn encoded(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings always encode")
}
