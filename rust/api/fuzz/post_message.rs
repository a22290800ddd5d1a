//! Version 2's body, whose unknown fields are refused by name.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::{any_json, damage, for_a_while, is_json, object};
use crate::api::post_message::{Draft, decode};
use crate::api::refusal::{FieldErrors, Refusal};

/// Fewer members than unknown ones are named.
fn body() -> impl Strategy<Value = String> {
    let text = || any_json().prop_map(|value| value.to_string());
    let string = || any::<String>().prop_map(|text| Value::from(text).to_string());
    let client_id = prop_oneof!["[ -~]{0,3}", "[ -~]{60,70}"].prop_map(|id: String| Value::from(id).to_string());
    let draft = || object(&["text", "client_id"], prop_oneof![2 => string(), 2 => client_id.clone(), 1 => text()]);
    let strange = object(&["text", "client_id", "a", "b\\u0000", "c\\n"], prop_oneof![2 => string(), 1 => text()]);
    let long = any::<String>().prop_map(|name| format!("{{{}:1}}", Value::from(name.repeat(20))));
    prop_oneof![6 => draft(), 3 => strange, 1 => long, 1 => text(), 1 => draft().prop_map(|draft| format!("[{draft}]"))]
}

/// What the contract says of a body that is JSON.
fn expected(body: &Value) -> Result<(&str, Option<&str>), Refusal> {
    let body = body.as_object().ok_or(Refusal::NotJson)?;
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut errors = FieldErrors::new();
    for name in body.keys().filter(|name| !["text", "client_id"].contains(&name.as_str())) {
        errors.insert(name.chars().take(64).collect::<String>().into(), vec!["Unknown field"]);
    }
    let text = given("text").map_or(Err("Missing"), |text| text.as_str().ok_or("Must be a string"));
    let client_id = given("client_id").map(|id| match id.as_str() {
        None => Err("Must be a string"),
        Some(id) if (1..=64).contains(&id.len()) && id.chars().all(|c| (' '..='~').contains(&c)) => Ok(id),
        Some(_) => Err("Must be 1 to 64 printable ASCII characters"),
    });
    errors.extend(client_id.and_then(Result::err).map(|why| ("client_id".into(), vec![why])));
    errors.extend(text.err().map(|why| ("text".into(), vec![why])));
    match text {
        Ok(text) if errors.is_empty() => Ok((text, client_id.and_then(Result::ok))),
        _ => Err(Refusal::Fields(errors)),
    }
}

fn decoded<'a>(draft: &'a Result<Draft<'_>, Refusal>) -> Result<(&'a str, Option<&'a str>), &'a Refusal> {
    draft.as_ref().map(|draft| (&*draft.text, draft.client_id.as_deref()))
}

#[test]
fn a_body_means_what_its_json_says() {
    for_a_while(&body(), |body| {
        // `Value` refuses numbers that no f64 holds; the decoder ignores what it does not read.
        if let Ok(value) = serde_json::from_str::<Value>(&body) {
            let draft = decode(body.as_bytes());
            assert_eq!(decoded(&draft), expected(&value).as_ref().copied(), "{body}");
        }
    });
}

#[test]
fn a_damaged_body_is_refused_or_means_what_its_json_says() {
    let junk = prop::collection::vec(any::<u8>(), 0..8);
    for_a_while(&(body(), any::<Index>(), junk, any::<bool>()), |(body, place, junk, cut)| {
        let body = damage(body, place, &junk, cut);
        let draft = decode(&body);
        match serde_json::from_slice::<Value>(&body) {
            Ok(value) => assert_eq!(decoded(&draft), expected(&value).as_ref().copied(), "{body:?}"),
            Err(_) => assert!(is_json(&body) || matches!(draft, Err(Refusal::NotJson)), "{body:?}"),
        }
    });
}
