//! `POST /v2/chats/{id}/messages`.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Api;
use super::contract::Contract;
use super::field::Field;
use super::post::Posted;
use super::refusal::{FieldErrors, Refusal};
use super::reply::Reply;
use crate::hub::journal::MessageId;

const LONGEST_CLIENT_ID: usize = 64;
/// Unknown fields that are named, and bytes of a name that are shown: an answer is not a mirror.
const NAMED: usize = 10;
const LONGEST_NAMED: usize = 64;

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Draft<'a> {
    pub text: Cow<'a, str>,
    pub client_id: Option<Cow<'a, str>>,
}

impl Api {
    /// Judged in the order of `send`. Of a body over its bound any prefix longer than that will do.
    pub async fn post_message(&self, authorization: Option<&str>, chat_id: &str, body: &[u8]) -> Reply {
        let began = Instant::now();
        let posted = self.try_post_message(authorization, chat_id, body).await;
        self.hub.stats.send_overhead_us.record(began.elapsed().as_micros() as u64);
        posted.map_or_else(|refusal| refusal.reply(Contract::V2), |posted| answer(&posted))
    }

    async fn try_post_message(
        &self,
        authorization: Option<&str>,
        chat_id: &str,
        body: &[u8],
    ) -> Result<Posted, Refusal> {
        let now = self.clock.now();
        let sender = self.identify(authorization, now).await?;
        if body.len() > Contract::V2.max_body() {
            return Err(Refusal::BodyTooLarge);
        }
        let draft = decode(body)?;
        let text = self.judge_text(sender.id, &draft.text, now)?;
        self.post(&sender, chat_id, text, draft.client_id.as_deref(), now).await
    }
}

fn answer(posted: &Posted) -> Reply {
    let status = if posted.is_new { 201 } else { 200 };
    Reply::json(status, format!(r#"{{"id":"{}","sent_at":"{}"}}"#, posted.id, sent_at(posted.id)).into_bytes(), None)
}

/// RFC 3339 in UTC with milliseconds.
fn sent_at(id: MessageId) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_micros(id.unsigned_abs()))
}

pub(super) fn decode(body: &[u8]) -> Result<Draft<'_>, Refusal> {
    let DraftBody { text, client_id, unknown } = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
    let mut errors: FieldErrors = unknown.into_iter().map(|name| (name.into(), vec!["Unknown field"])).collect();
    let client_id = match client_id {
        Field::Missing => None,
        given => given.text("client_id", &mut errors),
    };
    if client_id.as_ref().is_some_and(|id| !is_client_id(id)) {
        errors.insert("client_id".into(), vec!["Must be 1 to 64 printable ASCII characters"]);
    }
    match text.text("text", &mut errors) {
        Some(text) if errors.is_empty() => Ok(Draft { text, client_id }),
        _ => Err(Refusal::Fields(errors)),
    }
}

fn is_client_id(id: &str) -> bool {
    (1..=LONGEST_CLIENT_ID).contains(&id.len()) && id.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[derive(Default)]
struct DraftBody<'a> {
    text: Field<'a>,
    client_id: Field<'a>,
    unknown: Vec<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for DraftBody<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsDraft;
        impl<'de> Visitor<'de> for AsDraft {
            type Value = DraftBody<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut body = DraftBody::default();
                while let Some(key) = map.next_key::<String>()? {
                    match &*key {
                        "text" => body.text = map.next_value()?,
                        "client_id" => body.client_id = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            if body.unknown.len() < NAMED {
                                body.unknown.push(key.chars().take(LONGEST_NAMED).collect());
                            }
                        }
                    }
                }
                Ok(body)
            }
        }
        deserializer.deserialize_map(AsDraft)
    }
}
