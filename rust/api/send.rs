//! `POST /v1/messages/send`.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::object::Object;
use super::refusal::{FieldErrors, Refusal};
use super::reply::Reply;
use super::{Api, looked_up, text};
use crate::hub::Micros;
use crate::hub::directory::User;
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
        self.hub.limiter.take(sender.id, now, &self.hub.settings().limiter).map_err(|over| {
            self.hub.stats.limiter_rejected.add(1);
            Refusal::OverRate { retry_after: over.retry_after }
        })?;
        let text =
            text::check(&order.payload).map_err(|broken| Refusal::Fields(FieldErrors::from([("text", broken)])))?;
        if self.hub.is_stopping() {
            return Err(Refusal::Stopping);
        }
        match &order.to {
            Target::Chat(id) => self.send_to_chat(&sender, id, text, now).await,
            Target::Recipient(name) => self.send_to_recipient(&sender, name, text, now).await,
        }
    }

    async fn send_to_chat(&self, sender: &User, id: &str, text: &str, now: Micros) -> Result<(), Refusal> {
        let chat = looked_up(self.hub.directory.chat(id, now)).await?.ok_or(Refusal::NoSuchChat)?;
        if !chat.member(sender.id).ok_or(Refusal::NoSuchChat)?.may_post {
            return Err(Refusal::MayNotPost);
        }
        let message = Message::new(&sender.username, text, now);
        self.hub.deliver(&message, chat.members().iter().map(|member| member.user));
        Ok(())
    }

    async fn send_to_recipient(&self, sender: &User, name: &str, text: &str, now: Micros) -> Result<(), Refusal> {
        let recipient = looked_up(self.hub.directory.user_named(&name.to_ascii_lowercase(), now)).await?;
        let recipient = recipient.ok_or(Refusal::NoSuchRecipient)?;
        match self.hub.deliver(&Message::new(&sender.username, text, now), [recipient.id]) {
            Delivery { accepted: 0, refused: 0 } => Err(Refusal::RecipientOffline),
            Delivery { refused: 0, .. } => Ok(()),
            _ => Err(Refusal::RecipientFull),
        }
    }
}

fn accepted() -> Reply {
    Reply::json(202, b"null".to_vec(), None)
}

pub(super) fn decode(body: &[u8]) -> Result<Order<'_>, Refusal> {
    let Object(Envelope { message }) = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
    let message = match message {
        MessageField::Object(message) => message,
        MessageField::Other => return Err(Refusal::Fields(FieldErrors::from([("message", vec![MUST_BE_OBJECT])]))),
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

/// A value that should be text, so that a wrong type is the field's fault and not the whole body's.
#[derive(Default)]
enum Field<'a> {
    #[default]
    Missing,
    NotText,
    Text(Cow<'a, str>),
}

impl<'a> Field<'a> {
    fn text(self, name: &'static str, errors: &mut FieldErrors) -> Option<Cow<'a, str>> {
        let why = match self {
            Self::Text(text) => return Some(text),
            Self::Missing => "Missing",
            Self::NotText => "Must be a string",
        };
        errors.insert(name, vec![why]);
        None
    }
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

/// Implements the visits of every JSON type but the named ones with one value.
macro_rules! visit_others {
    ($lifetime:lifetime, $value:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("any JSON value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_seq<A: SeqAccess<$lifetime>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsField;
        impl<'de> Visitor<'de> for AsField {
            type Value = Field<'de>;
            visit_others!('de, Field::NotText);
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Field::Missing)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::NotText)
            }
        }
        deserializer.deserialize_any(AsField)
    }
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
