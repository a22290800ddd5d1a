//! Which requests the edge answers itself, and how an answer of `api` becomes one of HTTP.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use uuid::Uuid;

use super::Shared;
use super::body::{self, AnswerBody};
use super::forward::{Forwarder, REQUEST_ID};
use super::listener::Door;
use super::progress::{Phase, Progress};
use crate::api::{MAX_BODY, Refusal, Reply};

/// What is known of a request beside itself.
pub struct Context {
    pub shared: Arc<Shared>,
    pub door: Door,
    pub peer: IpAddr,
    pub progress: Arc<Progress>,
}

pub type Answer = Response<AnswerBody>;

/// Answers a request: a hot route here, every other by the application.
pub async fn answer(context: Context, forwarder: &Forwarder, request: Request<Incoming>) -> Answer {
    context.progress.enter(Phase::Body);
    let id = request_id(&context, request.headers());
    let shared = Arc::clone(&context.shared);
    let proxied = context.door == Door::Public && shared.addresses.is_trusted(context.peer);
    let place = match proxied.then(|| shared.addresses.client(context.peer, request.headers())) {
        Some(client) => match shared.addresses.enter(client) {
            Some(place) => Some(place),
            None => {
                shared.refusals.too_many_of_address.add(1);
                return reply(&context, Refusal::TooManyConnections.into(), id);
            }
        },
        None => None,
    };
    let answer = match (context.door, request.method(), request.uri().path()) {
        (Door::Public, &Method::POST, "/v1/messages/send") => send(&context, request, id).await,
        (Door::Public, &Method::POST, "/v1/messages/poll/start") => start(&context, request, id).await,
        (Door::Public, &Method::GET, path) if path.starts_with(POLL) => Box::pin(poll(&context, request, id)).await,
        _ => Box::pin(forwarder.forward(&context, request, id)).await,
    };
    drop(place);
    answer
}

const POLL: &str = "/v1/messages/poll/";

async fn send(context: &Context, request: Request<Incoming>, id: HeaderValue) -> Answer {
    let (head, body) = request.into_parts();
    let Some(body) = body::read(body, MAX_BODY).await else {
        return reply(context, Refusal::NotJson.into(), id);
    };
    context.progress.enter(Phase::Working);
    let mut answer = reply(context, context.shared.api.send(authorization(&head.headers), &body.data).await, id);
    if body.cut_off {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn start(context: &Context, request: Request<Incoming>, id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    let answer = context.shared.api.start(authorization(request.headers())).await;
    reply(context, answer, id)
}

async fn poll(context: &Context, request: Request<Incoming>, id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    let session_id = &request.uri().path()[POLL.len()..];
    let api = Arc::clone(&context.shared.api);
    let answer = api.poll(authorization(request.headers()), session_id).await;
    reply(context, answer, id)
}

/// The token's header. One with bytes that are no text cannot carry a token, and is judged as one that does not.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default())
}

pub fn reply(context: &Context, mut reply: Reply, request_id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    if let Some(polled) = reply.take_polled() {
        context.progress.answering(polled);
    }
    let mut answer = Response::new(AnswerBody::whole(reply.body, Arc::clone(&context.progress)));
    *answer.status_mut() = StatusCode::from_u16(reply.status).expect("api answers with HTTP's numbers");
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, request_id);
    if reply.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The id that log lines and the answer carry: a trusted proxy's, else a new one.
fn request_id(context: &Context, headers: &HeaderMap) -> HeaderValue {
    let plausible = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    };
    let given = headers.get(REQUEST_ID).filter(plausible);
    match given {
        Some(id) if context.shared.addresses.is_trusted(context.peer) => id.clone(),
        _ => HeaderValue::from_str(&format!("{:016x}", Uuid::new_v4().as_u64_pair().1)).expect("hex digits"),
    }
}
