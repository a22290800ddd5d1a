//! Every answer of the hot routes, by the HTTP contract.

use std::future::poll_fn;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::refusal::FieldErrors;
use super::token::TokenError;
use super::*;
use crate::hub::directory::{Chat, Loaded, Member, User};
use crate::hub::settings::{HistorySettings, LimiterSettings, Settings};
use crate::hub::{Micros, UserId};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const SECOND: Micros = 1_000_000;

/// ann (1), bob (2), cat (3); a chat of ann and bob, in which bob may not post.
fn api() -> Arc<Api> {
    let api = Arc::new(api_alone());
    if tokio::runtime::Handle::try_current().is_ok() {
        api.hub.journal.open(0);
        tokio::spawn(store(Arc::clone(&api)));
        tokio::spawn(load_private_chats(Arc::clone(&api)));
    }
    api
}

/// As `api`, with nobody behind it.
fn api_alone() -> Api {
    let api = Api::new(Verifier::new(KEY).unwrap_or_else(|_| panic!("long enough")));
    api.hub.apply(Settings { polling_time: 0, ..Settings::default() });
    for (id, name) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        put_user(&api, id, name, 0, false);
    }
    let members = vec![Member { user: 1, may_post: true }, Member { user: 2, may_post: false }];
    api.hub.directory.put_chat(Chat::new("pc:1".into(), 1, members));
    api
}

/// A database that takes everything.
async fn store(api: Arc<Api>) {
    loop {
        let batch = poll_fn(|cx| api.hub.journal.poll_batch(cx, Clock::machine())).await;
        api.hub.publish(batch, api.clock.now()).await;
    }
}

async fn load_private_chats(api: Arc<Api>) {
    loop {
        let batch = api.hub.directory.next_batch().await;
        let pairs = batch.pairs.iter().map(|pair| (*pair, 7)).collect();
        api.hub.directory.land(&batch, Loaded { pairs, ..Loaded::default() }, api.clock.now());
    }
}

fn put_user(api: &Api, id: UserId, name: &str, revision: i32, deleted: bool) {
    api.hub.directory.put_user(User { id, username: name.into(), revision, token_generation: revision, deleted });
}

fn claims(id: UserId, generation: i32) -> Value {
    let now = Clock::default().now() / SECOND;
    json!({"iss": "realtime-chat", "id": id, "jti": "x", "iat": now, "exp": now + 60, "gen": generation})
}

fn bearer(claims: &Value) -> String {
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(KEY));
    format!("Bearer {}", token.unwrap())
}

fn of(id: UserId) -> String {
    bearer(&claims(id, 0))
}

fn to_chat(payload: &str) -> Vec<u8> {
    to_chat_of("pc:1", payload)
}

fn to_chat_of(id: &str, payload: &str) -> Vec<u8> {
    json!({"message": {"chat_id": id, "payload": payload}}).to_string().into_bytes()
}

fn to_recipient(name: &str, payload: &str) -> Vec<u8> {
    json!({"message": {"recipient": name, "payload": payload}}).to_string().into_bytes()
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

async fn opened(api: &Api, id: UserId) -> String {
    body(&api.start(Some(&of(id))).await)["session_id"].as_str().unwrap().to_owned()
}

async fn polled(api: &Arc<Api>, id: UserId, session: &str) -> Value {
    let mut reply = Arc::clone(api).poll(Some(&of(id)), session).await;
    assert_eq!(reply.status, 200);
    reply.take_polled().expect("a poll's").commit();
    body(&reply)
}

/// Bob's poll, once it is parked.
async fn parked(api: &Arc<Api>, session: &str) -> tokio::task::JoinHandle<Reply> {
    let poll = tokio::spawn({
        let (api, session) = (Arc::clone(api), session.to_owned());
        async move { api.poll(Some(&of(2)), &session).await }
    });
    while api.hub.stats.polling_active.get() == 0 {
        tokio::task::yield_now().await;
    }
    poll
}

/// Sends as ann and returns status, blamed fields and `Retry-After`.
async fn sent(api: &Api, message: &[u8]) -> (u16, Value, Option<u32>) {
    let reply = api.send(Some(&of(1)), message).await;
    let answer = body(&reply);
    if reply.status >= 400 {
        assert_eq!(answer["code"], reply.status.to_string());
        assert_eq!(reply.retry_after.is_some(), [429, 503].contains(&reply.status));
    }
    (reply.status, answer["details"]["errors"].clone(), reply.retry_after)
}

#[tokio::test]
async fn a_message_to_a_chat_reaches_all_members_the_sender_included() {
    let api = api();
    let (ann, bob) = (opened(&api, 1).await, opened(&api, 2).await);
    assert_eq!(sent(&api, &to_chat(" \"hi\"\n")).await, (202, Value::Null, None));
    let expected = json!({"resync_required": false, "messages": [{"sender": "ann", "text": "\"hi\""}]});
    assert_eq!(polled(&api, 1, &ann).await, expected);
    assert_eq!(polled(&api, 2, &bob).await, expected);
    assert_eq!(polled(&api, 2, &bob).await, json!({"resync_required": false, "messages": []}));
}

#[tokio::test]
async fn the_older_dialect_goes_to_the_recipient_alone() {
    let api = api();
    assert_eq!(sent(&api, &to_recipient("bob", "hi")).await.0, 409);
    assert_eq!(api.hub.stats.send_dropped_offline.get(), 1);
    let (ann, bob) = (opened(&api, 1).await, opened(&api, 2).await);
    assert_eq!(sent(&api, &to_recipient("BOB", "hi")).await.0, 202);
    assert_eq!(polled(&api, 2, &bob).await["messages"], json!([{"sender": "ann", "text": "hi"}]));
    assert_eq!(polled(&api, 1, &ann).await["messages"], json!([]));
    assert_eq!(sent(&api, &to_recipient("no body", "hi")).await.0, 404);
    put_user(&api, 2, "bob", 1, true);
    assert_eq!(sent(&api, &to_recipient("bob", "hi")).await.0, 404);
}

#[tokio::test]
async fn a_full_session_is_the_recipients_concern_in_a_chat_and_the_senders_in_the_older_dialect() {
    let api = api();
    api.hub.apply(Settings { polling_time: 0, max_queue_size: 1, ..Settings::default() });
    let bob = opened(&api, 2).await;
    for expected in [202, 202] {
        assert_eq!(sent(&api, &to_chat("hi")).await.0, expected);
    }
    assert_eq!(sent(&api, &to_recipient("bob", "hi")).await.0, 503);
    let first = polled(&api, 2, &bob).await;
    assert_eq!((&first["resync_required"], first["messages"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(polled(&api, 2, &bob).await, json!({"resync_required": false, "messages": []}));
}

#[tokio::test]
async fn a_repeat_of_one_under_way_is_counted_before_it_is_answered() {
    let api = Arc::new(api_alone());
    api.hub.journal.open(0);
    let post = || {
        let api = Arc::clone(&api);
        let body = br#"{"text": "hi", "client_id": "a"}"#;
        tokio::spawn(async move { api.post_message(Some(&of(1)), "pc:1", body).await.status })
    };
    let (first, again) = (post(), post());
    while api.hub.journal.pending() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(api.hub.stats.journal_repeats_recent.get(), 1);
    tokio::spawn(store(Arc::clone(&api)));
    assert_eq!((first.await.unwrap(), again.await.unwrap()), (201, 200));
    assert_eq!(api.hub.stats.journal_repeats_recent.get(), 1);
}

#[tokio::test]
async fn a_reply_that_was_not_committed_leaves_everything_to_the_next() {
    let api = api();
    api.hub.apply(Settings { polling_time: 0, max_queue_size: 1, ..Settings::default() });
    let bob = opened(&api, 2).await;
    sent(&api, &to_chat("hi")).await;
    sent(&api, &to_chat("lost")).await;
    let reply = Arc::clone(&api).poll(Some(&of(2)), &bob).await;
    assert_eq!(Arc::clone(&api).poll(Some(&of(2)), &bob).await.status, 409, "somebody may still receive it");
    let lost = body(&reply);
    drop(reply);
    assert_eq!(polled(&api, 2, &bob).await, lost);
}

#[tokio::test]
async fn a_message_waits_in_turn_where_a_poll_takes_fewer() {
    let api = api();
    api.hub.apply(Settings { polling_time: 0, polling_max_size: 2, ..Settings::default() });
    let bob = opened(&api, 2).await;
    for text in ["1", "2", "3"] {
        sent(&api, &to_chat(text)).await;
    }
    let texts =
        |answer: Value| answer["messages"].as_array().unwrap().iter().map(|m| m["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(polled(&api, 2, &bob).await), ["1", "2"]);
    assert_eq!(texts(polled(&api, 2, &bob).await), ["3"]);
}

#[tokio::test]
async fn who_may_not_post_and_who_is_no_member() {
    let api = api();
    assert_eq!(api.send(Some(&of(2)), &to_chat("hi")).await.status, 403);
    assert_eq!(api.send(Some(&of(3)), &to_chat("hi")).await.status, 404);
}

#[tokio::test]
async fn each_fault_of_a_body_is_named() {
    let api = api();
    for (wrong, errors) in [
        (json!({}), json!({"chat_id": ["Missing"], "payload": ["Missing"]})),
        (json!({"message": null}), json!({"chat_id": ["Missing"], "payload": ["Missing"]})),
        (json!({"message": []}), json!({"message": ["Must be an object"]})),
        (
            json!({"message": {"payload": 1, "chat_id": {}}}),
            json!({"chat_id": ["Must be a string"], "payload": ["Must be a string"]}),
        ),
        (json!({"message": {"recipient": [], "payload": "x"}}), json!({"recipient": ["Must be a string"]})),
        (json!({"message": {"chat_id": "pc:1", "payload": " "}}), json!({"text": ["Must not be empty"]})),
    ] {
        assert_eq!(sent(&api, wrong.to_string().as_bytes()).await, (400, errors, None), "{wrong}");
    }
    let deep = "[".repeat(10_000);
    let array = r#"[{"chat_id":"pc:1","payload":"hi"}]"#;
    for text in [array, "", "nul", "[]", "{}x", r#"{"message":{"payload":"\ud800"}}"#, "\u{feff}{}", &deep] {
        assert_eq!(sent(&api, text.as_bytes()).await.0, 400, "{text}");
    }
    assert_eq!(sent(&api, b"{\"message\":{\"payload\":\"\xff\"}}").await.0, 400);
}

#[tokio::test]
async fn unknown_keys_are_ignored_and_the_last_of_two_counts() {
    let api = api();
    let text =
        r#"{"a":{"b":[1e9]},"message":{"x":[{}],"chat_id":7,"chat_id":"pc:1","payload":"\u0068i","recipient":null}}"#;
    assert_eq!(sent(&api, text.as_bytes()).await.0, 202);
}

#[tokio::test]
async fn judged_in_the_contracts_order() {
    let api = api();
    let one = LimiterSettings { burst: 1, refill: 1, ..Settings::default().limiter };
    api.hub.apply(Settings { limiter: one, ..Settings::default() });
    let large = vec![b' '; 16_001];
    assert_eq!(api.send(Some("Bearer x"), &large).await.status, 401);
    assert_eq!(sent(&api, &large).await.0, 413);
    assert_eq!(sent(&api, b"{").await.0, 400);
    assert_eq!(sent(&api, &to_recipient("nobody", " ")).await.0, 400, "the rate is asked before the text");
    let (status, errors, retry_after) = sent(&api, &to_recipient("nobody", " ")).await;
    assert_eq!((status, errors, retry_after), (429, json!("Enhance your calm!"), Some(1)));
    api.clock.set_offset(SECOND);
    assert_eq!(sent(&api, &to_recipient("no body", "hi")).await.0, 404);
    let mut largest = to_chat("hi");
    largest.resize(16_000, b' ');
    api.clock.set_offset(2 * SECOND);
    assert_eq!(sent(&api, &largest).await.0, 202);
}

#[tokio::test]
async fn tokens_that_are_not_good_now() {
    let api = api();
    put_user(&api, 3, "cat", 1, true);
    let with = |key: &str, value: Value| {
        let mut claims = claims(1, 0);
        claims[key] = value;
        bearer(&claims)
    };
    let now = api.clock.now() / SECOND;
    let good = of(1);
    let none = good.replacen("Bearer ", "", 1);
    for (authorization, status) in [
        (None, 401),
        (Some(good.clone()), 200),
        (Some(good.replacen("Bearer", "bEARER", 1)), 200),
        (Some(none), 401),
        (Some(good.replacen("Bearer", "Basic", 1)), 401),
        (Some(format!("{good}=")), 401),
        (Some(good[..good.len() - 1].to_owned()), 401),
        (Some(with("iss", json!("other"))), 401),
        (Some(with("exp", json!(now))), 401),
        (Some(with("exp", json!((now + 60) as f64))), 401),
        (Some(with("exp", json!((now + 60).to_string()))), 401),
        (Some(with("iat", json!(now + 60))), 401),
        (Some(with("gen", json!(1))), 401),
        (Some(with("nbf", json!(now))), 401),
        (Some(with("id", json!("1"))), 401),
        (Some(of(3)), 401),
        (Some(bearer(&json!(["realtime-chat", 1, "x", now, now + 60, 0]))), 401),
        (Some("Bearer a.b".to_owned()), 401),
        (Some(format!("Bearer {}", "a".repeat(100_000))), 401),
    ] {
        assert_eq!(api.start(authorization.as_deref()).await.status, status, "{authorization:?}");
    }
    assert_eq!(body(&api.start(Some(&of(3))).await)["message"], "Invalid user auth");
    api.clock.set_offset(61 * SECOND);
    assert_eq!(body(&api.start(Some(&good)).await)["message"], "The token has expired");
}

#[tokio::test]
async fn other_algorithms_and_keys_are_refused() {
    let api = api();
    let claims = claims(1, 0);
    let other = |algorithm, key: &[u8]| {
        let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(key)).unwrap();
        format!("Bearer {token}")
    };
    assert_eq!(api.start(Some(&other(Algorithm::HS384, KEY))).await.status, 401);
    assert_eq!(api.start(Some(&other(Algorithm::HS256, b"another key of thirty-two bytes!"))).await.status, 401);
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", of(1).split('.').nth(1).unwrap());
    assert_eq!(api.start(Some(&unsigned)).await.status, 401);
}

#[tokio::test]
async fn a_sixth_session_and_an_unknown_one() {
    let api = api();
    for _ in 0..5 {
        opened(&api, 1).await;
    }
    let refused = api.start(Some(&of(1))).await;
    assert_eq!((refused.status, refused.retry_after), (429, Some(60)));
    let bobs = opened(&api, 2).await;
    for id in ["", "x", "00000000-0000-4000-8000-000000000000", &bobs, &bobs.replace('-', "")] {
        assert_eq!(Arc::clone(&api).poll(Some(&of(1)), id).await.status, 410, "{id}");
    }
}

#[tokio::test]
async fn a_stop_ends_parked_polls_and_refuses_what_is_new() {
    let api = api();
    api.hub.apply(Settings::default());
    let bob = opened(&api, 2).await;
    let parked = parked(&api, &bob).await;
    api.hub.stop();
    let ended = parked.await.unwrap();
    assert_eq!(ended.status, 200);
    assert!(ended.retry_after.is_some_and(|seconds| (1..=5).contains(&seconds)));
    drop(ended);
    assert_eq!(polled(&api, 2, &bob).await["messages"], json!([]), "at once");
    assert_eq!(sent(&api, &to_chat("hi")).await.0, 503);
    assert_eq!(api.start(Some(&of(1))).await.status, 503);
}

#[tokio::test]
async fn a_send_that_waited_is_refused_once_a_stop_has_begun() {
    let api = Arc::new(api_alone());
    let history = HistorySettings { is_enabled: false, ..Settings::default().history };
    api.hub.apply(Settings { history, ..Settings::default() });
    let sending = tokio::spawn({
        let api = Arc::clone(&api);
        async move { sent(&api, &to_chat_of("pc:9", "hi")).await }
    });
    let batch = api.hub.directory.next_batch().await;
    api.hub.refuse();
    let chats = vec![Chat::new("pc:9".into(), 9, vec![Member { user: 1, may_post: true }])];
    api.hub.directory.land(&batch, Loaded { chats, ..Loaded::default() }, api.clock.now());
    assert_eq!(sending.await.unwrap(), (503, json!("The server is stopping"), Some(1)));
}

#[tokio::test]
async fn a_parked_poll_ends_when_its_token_becomes_void() {
    for (deleted, message) in [(true, "Invalid user auth"), (false, "The token was revoked")] {
        let api = api();
        api.hub.apply(Settings::default());
        let bob = opened(&api, 2).await;
        let parked = parked(&api, &bob).await;
        put_user(&api, 2, "bob", 1, deleted);
        api.hub.wake_user(2);
        let ended = parked.await.unwrap();
        assert_eq!((ended.status, &body(&ended)["message"]), (401, &json!(message)));
    }
}

#[tokio::test]
async fn a_poll_that_went_away_lets_the_next_one_in() {
    let api = api();
    api.hub.apply(Settings::default());
    let bob = opened(&api, 2).await;
    let mut parked = Box::pin(Arc::clone(&api).poll(Some("Bearer"), &bob));
    assert_eq!((&mut parked).await.status, 401);
    let token = of(2);
    let parked = tokio::time::timeout(std::time::Duration::ZERO, Arc::clone(&api).poll(Some(&token), &bob)).await;
    assert!(parked.is_err());
    sent(&api, &to_chat("hi")).await;
    assert_eq!(polled(&api, 2, &bob).await["messages"].as_array().unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_body_gets_an_answer_that_is_not_500(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let api = api();
        let status = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
            .block_on(async { api.send(Some(&of(1)), &body).await.status });
        prop_assert_eq!(status, 400);
    }
}

#[test]
fn version_2_gives_problems() {
    let fields = FieldErrors::from([("text".into(), vec!["Empty"])]);
    for (refusal, expected) in [
        (
            Refusal::Token(TokenError::Revoked),
            json!({"status": 401, "title": "Unauthorized", "detail": "The token was revoked", "code": "token_revoked"}),
        ),
        (
            Refusal::Fields(fields),
            json!({"status": 400, "title": "Bad Request", "detail": "Some fields are missing or wrong",
                "code": "validation_failed", "errors": {"text": ["Empty"]}}),
        ),
        (
            Refusal::NoSuchChat,
            json!({"status": 404, "title": "Not Found", "detail": "No such chat", "code": "chat_not_found"}),
        ),
        (
            Refusal::BodyTooLarge,
            json!({"status": 413, "title": "Payload Too Large", "detail": "The body is over 65536 bytes",
                "code": "body_too_large"}),
        ),
    ] {
        let reply = refusal.reply(Contract::V2);
        assert_eq!(reply.media_type, "application/problem+json");
        assert_eq!(u64::from(reply.status), expected["status"]);
        assert_eq!(body(&reply), expected);
    }
    assert_eq!(Refusal::OverRate { retry_after: 7 }.reply(Contract::V2).retry_after, Some(7));
    assert_eq!(Refusal::Unavailable.reply(Contract::V2).retry_after, Some(1));
}
