//! `POST /v1/messages/send`.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::field::{Field, visit_others};
use super::object::Object;
use super::refusal::{FieldErrors, Refusal};
use super::reply::Reply;
use super::{Api, looked_up};
use crate::hub::Micros;
use crate::hub::directory::User;
use crate::hub::journal::{Post, Recipients};
use crate::hub::mailbox::Delivery;
use crate::hub::message::Message;

/// Bytes a request's body may have.
pub const MAX_BODY: usize = 16_000;

/// What a body asks for, with fields present and of the right type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order<'a> {
    pub to: Target<'a>,
    pub payload: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Chat(Cow<'a, str>),
    /// The older dialect.
    Recipient(Cow<'a, str>),
}

impl Api {
    /// Judged in the contract's order: token, body size, JSON and fields, rate, text, chat. Of a body over `MAX_BODY` any
    /// prefix longer than that will do.
    pub async fn send(&self, authorization: Option<&str>, body: &[u8]) -> Reply {
        let began = Instant::now();
        let reply = self.try_send(authorization, body).await.map_or_else(Reply::from, |()| accepted());
        self.hub.stats.send_overhead_us.record(began.elapsed().as_micros() as u64);
        reply
    }

    async fn try_send(&self, authorization: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
        let now = self.clock.now();
        let sender = self.identify(authorization, now).await?;
        if body.len() > MAX_BODY {
            return Err(Refusal::BodyTooLarge);
        }
        let order = decode(body)?;
        let text = self.judge_text(sender.id, &order.payload, now)?;
        match &order.to {
            Target::Chat(id) => self.post(&sender, id, text, None, now).await.map(drop),
            Target::Recipient(name) => self.send_to_recipient(&sender, name, text, now).await,
        }
    }

    async fn send_to_recipient(&self, sender: &User, name: &str, text: &str, now: Micros) -> Result<(), Refusal> {
        let directory = &self.hub.directory;
        let recipient = looked_up(directory.user_named(&name.to_ascii_lowercase(), now)).await?;
        let recipient = recipient.ok_or(Refusal::NoSuchRecipient)?.id;
        if !self.hub.is_online(recipient) {
            self.hub.stats.send_dropped_offline.add(1);
            return Err(Refusal::RecipientOffline);
        }
        let message = Message::new(&sender.username, text, now);
        let delivery = if self.hub.settings().history.is_enabled {
            let chat = looked_up(directory.private_chat(sender.id, recipient, now)).await?;
            let chat = chat.ok_or(Refusal::TooManyChats)?;
            let to = Recipients::One(recipient);
            let (sender, text) = (sender.id, text.into());
            self.journal(Post { is_stored: true, sender, chat, to, text, message, client_id: None }).await?.delivery
        } else {
            self.expect_not_stopping()?;
            let delivery = self.hub.deliver(&message, [recipient]);
            if delivery == Delivery::default() {
                return Err(Refusal::RecipientOffline);
            }
            delivery
        };
        if delivery.refused > 0 { Err(Refusal::RecipientFull) } else { Ok(()) }
    }
}

fn accepted() -> Reply {
    Reply::json(202, b"null".to_vec(), None)
}

pub(super) fn decode(body: &[u8]) -> Result<Order<'_>, Refusal> {
    let Object(Envelope { message }) = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
    let message = match message {
        MessageField::Object(message) => message,
        MessageField::Other => {
            return Err(Refusal::Fields(FieldErrors::from([("message".into(), vec![MUST_BE_OBJECT])])));
        }
    };
    let mut errors = FieldErrors::new();
    // The older dialect is only meant where no `chat_id` stands.
    let to = if matches!(message.chat_id, Field::Missing) && !matches!(message.recipient, Field::Missing) {
        message.recipient.text("recipient", &mut errors).map(Target::Recipient)
    } else {
        message.chat_id.text("chat_id", &mut errors).map(Target::Chat)
    };
    match (to, message.payload.text("payload", &mut errors)) {
        (Some(to), Some(payload)) => Ok(Order { to, payload }),
        _ => Err(Refusal::Fields(errors)),
    }
}

const MUST_BE_OBJECT: &str = "Must be an object";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    message: MessageField<'a>,
}

/// An absent message is one without fields: then each missing field is named.
enum MessageField<'a> {
    Object(MessageBody<'a>),
    Other,
}

impl Default for MessageField<'_> {
    fn default() -> Self {
        Self::Object(MessageBody::default())
    }
}

#[derive(Default)]
struct MessageBody<'a> {
    chat_id: Field<'a>,
    recipient: Field<'a>,
    payload: Field<'a>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    ChatId,
    Recipient,
    Payload,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for MessageField<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMessage;
        impl<'de> Visitor<'de> for AsMessage {
            type Value = MessageField<'de>;
            visit_others!('de, MessageField::Other);
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(MessageField::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(MessageField::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut body = MessageBody::default();
                // A key that comes twice counts as it came last, as in most JSON readers.
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::ChatId => body.chat_id = map.next_value()?,
                        Key::Recipient => body.recipient = map.next_value()?,
                        Key::Payload => body.payload = map.next_value()?,
                        Key::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(MessageField::Object(body))
            }
        }
        deserializer.deserialize_any(AsMessage)
    }
}
