//! A field of a body that should be text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::refusal::FieldErrors;

/// A value that should be text, so that a wrong type is the field's fault and not the whole body's.
#[derive(Default)]
pub(super) enum Field<'a> {
    #[default]
    Missing,
    NotText,
    Text(Cow<'a, str>),
}

impl<'a> Field<'a> {
    /// The text, or `None` with the reason among the errors.
    pub fn text(self, name: &'static str, errors: &mut FieldErrors) -> Option<Cow<'a, str>> {
        let why = match self {
            Self::Text(text) => return Some(text),
            Self::Missing => "Missing",
            Self::NotText => "Must be a string",
        };
        errors.insert(name.into(), vec![why]);
        None
    }
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

pub(super) use visit_others;

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
