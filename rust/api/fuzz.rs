//! The decoders of requests against whatever a client may send, for `PYCHAT_FUZZ_SECONDS` each (1 by default): any
//! bytes, and requests that are nearly right. Each decoder is held to a second, plain reading of the same request.

mod post_message;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::poll;
use super::refusal::{FieldErrors, Refusal};
use super::send::{Order, Target, decode};
use super::token::{Token, TokenError, Verifier};

fn for_a_while<S: Strategy>(requests: &S, test: impl Fn(S::Value)) {
    let seconds = std::env::var("PYCHAT_FUZZ_SECONDS").map_or(1, |text| text.parse().expect("whole seconds"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    while Instant::now() < until {
        let outcome = runner.run(requests, |request| {
            test(request);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// JSON of any kind, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(|map| Map::from_iter(map).into()),
        ]
    })
}

/// An object's text, its keys out of `keys` and often the same: the last of them counts. Some characters are escaped.
fn object(
    keys: &'static [&'static str],
    value: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = String> {
    let entry = (select(keys), value, any::<bool>()).prop_map(|(key, value, escaped)| {
        let key = if escaped { key.replace('a', "\\u0061") } else { key.to_owned() };
        format!("\"{key}\" :\n{value}")
    });
    prop::collection::vec(entry, 0..6).prop_map(|entries| format!("{{ {} }}", entries.join(",\t")))
}

fn body() -> impl Strategy<Value = String> {
    let text = || any_json().prop_map(|value| value.to_string());
    let string = any::<String>().prop_map(|text| Value::from(text).to_string());
    let message = object(&["chat_id", "recipient", "payload", "other"], prop_oneof![3 => string, 1 => text()]);
    let message = prop_oneof![4 => message, 1 => text()];
    // A second `message` is an error to serde, hence one at most.
    let envelope = (message, any::<bool>(), text()).prop_map(|(message, reversed, other)| {
        let mut entries = [format!(r#""message":{message}"#), format!(r#""other":{other}"#)];
        if reversed {
            entries.reverse();
        }
        format!("{{{}}}", entries.join(","))
    });
    prop_oneof![6 => envelope, 1 => text(), 1 => text().prop_map(|value| format!("[{value}]"))]
}

/// Cuts the text, or puts other bytes into it.
fn damage(text: String, place: Index, junk: &[u8], cut: bool) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    let place = place.index(bytes.len() + 1);
    if cut {
        bytes.truncate(place);
    }
    bytes.splice(place..place, junk.iter().copied());
    bytes
}

/// Also with numbers that no f64 holds, which `Value` refuses and a decoder that does not read them need not.
fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// What the contract says of a body that is JSON.
fn expected(body: &Value) -> Result<(&'static str, &str, &str), Refusal> {
    let body = body.as_object().ok_or(Refusal::NotJson)?;
    let message = match body.get("message") {
        None | Some(Value::Null) => None,
        Some(Value::Object(message)) => Some(message),
        Some(_) => return Err(Refusal::Fields(FieldErrors::from([("message".into(), vec!["Must be an object"])]))),
    };
    let field = |name: &'static str| match message.and_then(|message| message.get(name)) {
        None | Some(Value::Null) => Err("Missing"),
        Some(value) => value.as_str().ok_or("Must be a string"),
    };
    let to = match (field("chat_id"), field("recipient")) {
        (Err("Missing"), Ok(_) | Err("Must be a string")) => "recipient",
        _ => "chat_id",
    };
    let errors = [to, "payload"].into_iter().filter_map(|name| Some((name.into(), vec![field(name).err()?]))).collect();
    match (field(to), field("payload")) {
        (Ok(target), Ok(payload)) => Ok((to, target, payload)),
        _ => Err(Refusal::Fields(errors)),
    }
}

fn decoded<'a>(order: &'a Order<'_>) -> (&'static str, &'a str, &'a str) {
    match &order.to {
        Target::Chat(id) => ("chat_id", id, &order.payload),
        Target::Recipient(name) => ("recipient", name, &order.payload),
    }
}

#[test]
fn a_body_means_what_its_json_says() {
    for_a_while(&body(), |body| {
        // `Value` refuses numbers that no f64 holds; the decoder ignores what it does not read.
        if let Ok(value) = serde_json::from_str::<Value>(&body) {
            let order = decode(body.as_bytes());
            match (&order, expected(&value)) {
                (Ok(order), Ok(meaning)) => assert_eq!(decoded(order), meaning),
                (Err(refusal), Err(meaning)) => assert_eq!(*refusal, meaning),
                (order, meaning) => panic!("{order:?}, but the JSON says {meaning:?}"),
            }
        }
    });
}

#[test]
fn a_damaged_body_is_refused_or_means_what_its_json_says() {
    let junk = prop::collection::vec(any::<u8>(), 0..8);
    for_a_while(&(body(), any::<Index>(), junk, any::<bool>()), |(body, place, junk, cut)| {
        let body = damage(body, place, &junk, cut);
        if let Ok(order) = decode(&body) {
            assert!(is_json(&body), "{body:?}");
            if let Ok(value) = serde_json::from_slice::<Value>(&body) {
                assert_eq!(Ok(decoded(&order)), expected(&value));
            }
        }
    });
}

#[test]
fn any_bytes_are_refused() {
    for_a_while(&prop::collection::vec(any::<u8>(), 0..400), |body| {
        assert!(matches!(decode(&body), Err(Refusal::NotJson | Refusal::Fields(_))), "{body:?}");
    });
}

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_000;

/// The object with some members replaced, and perhaps one more; or its members as an array, as serde takes structs too.
fn altered(object: Value, array: Value) -> impl Strategy<Value = Value> {
    let keys: Vec<String> = object.as_object().expect("an object").keys().cloned().chain(["other".into()]).collect();
    let times = select(vec![json!(NOW - 1), json!(NOW), json!(NOW + 1), json!(1e3), json!("1"), json!(i32::MAX)]);
    let changes = prop::collection::vec((select(keys), prop_oneof![times, any_json()]), 0..2);
    let changed = changes.prop_map(move |changes| {
        let mut object = object.clone();
        changes.into_iter().for_each(|(key, value)| object[key] = value);
        object
    });
    prop_oneof![8 => changed, 1 => Just(array), 1 => any_json()]
}

fn claims() -> Value {
    json!({"iss": "realtime-chat", "id": 7, "jti": "x", "iat": NOW, "exp": NOW + 1, "gen": 2})
}

/// What the module's text says of a token with a good signature.
fn judged(header: &Value, claims: &Value) -> Result<Token, TokenError> {
    let exactly = |object: &Value, keys: &[&str]| {
        object.as_object().is_some_and(|object| object.keys().all(|key| keys.contains(&key.as_str())))
    };
    let good_header = exactly(header, &["alg", "typ"])
        && header["alg"] == "HS256"
        && header.get("typ").is_none_or(|kind| kind.is_string() || kind.is_null());
    let good_claims = exactly(claims, &["iss", "id", "jti", "iat", "exp", "gen"])
        && claims["iss"] == "realtime-chat"
        && claims["jti"].is_string();
    let generation = claims["gen"].as_i64().and_then(|generation| i32::try_from(generation).ok());
    match (claims["id"].as_i64(), claims["iat"].as_i64(), claims["exp"].as_i64(), generation) {
        (Some(user), Some(iat), Some(exp), Some(generation)) if good_header && good_claims && iat <= NOW => {
            if exp > NOW { Ok(Token { user, generation }) } else { Err(TokenError::Expired) }
        }
        _ => Err(TokenError::Invalid),
    }
}

fn signed(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = crypto::sign(text.as_bytes(), &EncodingKey::from_secret(KEY), Algorithm::HS256).expect("a key");
    format!("Bearer {text}.{signature}")
}

fn verify(authorization: &str) -> Result<Token, TokenError> {
    Verifier::new(KEY).unwrap_or_else(|_| panic!("long enough")).verify(Some(authorization), NOW * 1_000_000)
}

#[test]
fn a_signed_token_is_judged_by_exactly_its_members() {
    let header = altered(json!({"alg": "HS256", "typ": "JWT"}), json!(["HS256", "JWT"]));
    let claims = altered(claims(), json!(["realtime-chat", 7, "x", NOW, NOW + 1, 2]));
    for_a_while(&(header, claims), |(header, claims)| {
        let token = signed(&header, &claims);
        if token.len() < 1_000 {
            assert_eq!(verify(&token), judged(&header, &claims), "{header} {claims}");
        }
    });
}

#[test]
fn a_damaged_token_is_never_good() {
    let good = signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims());
    assert!(verify(&good).is_ok());
    for_a_while(&(any::<Index>(), any::<Index>(), "[ -~]{0,3}"), |(from, length, junk)| {
        let from = "Bearer ".len() + from.index(good.len() - "Bearer ".len());
        let mut token = good.clone();
        token.replace_range(from..from + length.index(good.len() - from + 1), &junk);
        // The header may have spaces around it.
        if token.trim() != good {
            assert!(verify(&token).is_err(), "{token:?}");
        }
    });
}

#[test]
fn any_header_is_no_token() {
    for_a_while(&any::<String>(), |text| {
        assert!(verify(&text).is_err() && verify(&format!("Bearer {text}")).is_err());
    });
}

#[test]
fn a_session_id_has_one_spelling() {
    let near = "[0-9a-fA-F{}-]{30,40}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
    for_a_while(&prop_oneof![any::<String>(), near.prop_map(String::from)], |text| {
        if let Some(id) = poll::parse(&text) {
            assert!(id.to_string().eq_ignore_ascii_case(&text));
        }
    });
}
