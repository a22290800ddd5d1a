//! Which requests the edge answers itself, and how an answer of `api` becomes one of HTTP.

use std::borrow::Cow;
use std::future::{Future, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hyper::body::{Body, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::Shared;
use super::address::Place;
use super::body::{self, AnswerBody};
use super::forward::{Forwarder, REQUEST_ID};
use super::listener::Door;
use super::progress::{Phase, Progress};
use super::requests::{Hot, OTHER};
use crate::api::{Contract, MAX_BODY, Refusal, Reply};

/// What is known of a request beside itself.
pub struct Context {
    pub shared: Arc<Shared>,
    pub door: Door,
    pub peer: IpAddr,
    pub progress: Arc<Progress>,
    /// The client's, where its requests are counted and not its connections.
    pub place: Option<Place>,
    /// Which of the edge's own routes was asked for.
    route: Option<Hot>,
    method: &'static str,
    since: Instant,
}

pub type Answer = Response<AnswerBody>;
/// An answer being made. Boxed, each route in its own size: a parked poll holds no room for what others need.
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Context {
    pub fn new(
        shared: Arc<Shared>,
        door: Door,
        peer: IpAddr,
        progress: Arc<Progress>,
        request: &Request<Incoming>,
    ) -> Self {
        let (method, since) = (method_label(request.method()), Instant::now());
        Self { shared, door, peer, progress, place: None, route: None, method, since }
    }

    /// Behind a trusted proxy, takes the client's place. False where it has as many as it may.
    fn enter(&mut self, headers: &HeaderMap) -> bool {
        let proxies = &self.shared.proxies;
        if self.door == Door::Public && proxies.is_trusted(self.peer) {
            self.place = self.shared.addresses.enter(proxies.client(self.peer, headers));
            return self.place.is_some();
        }
        true
    }

    /// Has the answer counted as the route's.
    fn ask(&mut self, route: Hot) {
        self.route = Some(route);
    }
}

/// Answers a request: a hot route here, every other by the application.
pub fn answer(mut context: Context, forwarder: &Forwarder, request: Request<Incoming>) -> Answering {
    context.progress.enter(Phase::Body);
    let id = request_id(&context, request.headers());
    let contract = Contract::of(request.uri().path());
    if !has_one_host(&request) || !names_a_path(&request) {
        return Box::pin(ready(malformed(&context, contract, id)));
    }
    if !context.enter(request.headers()) {
        context.shared.refusals.too_many_of_address.add(1);
        return Box::pin(ready(unread(reply(&context, Refusal::TooManyConnections.reply(contract), id))));
    }
    let plain = plain_spelling(request.uri().path());
    let path = plain.as_deref().unwrap_or(request.uri().path());
    if context.door == Door::Public
        && context.shared.refusing_sign_ins.load(Ordering::Relaxed)
        && let Some(route) = sign_in(request.method(), path)
    {
        context.ask(route);
        return after_body(request, Box::pin(async move { overloaded(&context, contract, id) }));
    }
    match (context.door, request.method(), path, chat_id(path), session_id(path)) {
        (Door::Public, &Method::POST, "/v1/messages/send", ..) => {
            context.ask(Hot::Send);
            Box::pin(send(context, request, id))
        }
        (Door::Public, &Method::POST, "/v1/messages/poll/start", ..) => {
            context.ask(Hot::Start);
            let authorization = authorization(request.headers()).map(Cow::into_owned);
            after_body(request, Box::pin(start(context, authorization, id)))
        }
        (Door::Public, &Method::POST, _, Some(chat_id), _) => {
            context.ask(Hot::Post);
            let chat_id = chat_id.to_owned();
            Box::pin(post_message(context, request, chat_id, id))
        }
        (Door::Public, &Method::GET, _, _, Some(session_id)) => {
            context.ask(Hot::Poll);
            let session_id = session_id.to_owned();
            let authorization = authorization(request.headers()).map(Cow::into_owned);
            // The request is dropped here: its headers are slices of the connection's read buffer, and while one lives,
            // hyper parks the poll with a second buffer.
            after_body(request, Box::pin(poll(context, authorization, session_id, id)))
        }
        // Of the process, whatever the application is at.
        (Door::Monitor, &Method::GET, "/service/live", ..) => {
            context.ask(Hot::Live);
            after_body(request, Box::pin(ready(reply(&context, Reply::live(), id))))
        }
        // The application would not answer.
        (Door::Monitor, &Method::GET, "/service/ready", ..) if context.shared.pulse.is_silent() => {
            context.ask(Hot::Ready);
            after_body(request, Box::pin(ready(reply(&context, Refusal::ApplicationSilent.into(), id))))
        }
        _ => {
            let hashes = hashes_password(request.method(), path);
            Box::pin(forwarder.clone().forward(context, request, id, hashes))
        }
    }
}

/// The path as the application's router reads it, where it is spelled in another way: no spelling of a hot route is
/// another route, which would be held or hashed for where all others have their turns.
fn plain_spelling(path: &str) -> Option<String> {
    let is_plain = !path.contains('%') && !path.as_bytes().windows(2).any(|pair| pair == b"//") && !path.ends_with('/');
    if is_plain || path == "/" {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    Some(
        decoded
            .split('/')
            .filter(|segment| !segment.is_empty())
            .fold(String::new(), |path, segment| path + "/" + segment),
    )
}

/// Whether the request may wait for the hashing of a password: a new one of one's own, too.
fn hashes_password(method: &Method, path: &str) -> bool {
    sign_in(method, path).is_some() || (method == Method::PATCH && path.starts_with("/v1/users/"))
}

/// The route, if it is one by which people sign up or in.
fn sign_in(method: &Method, path: &str) -> Option<Hot> {
    match (method, path) {
        (&Method::POST, "/v1/users/login") => Some(Hot::Login),
        (&Method::POST, "/v1/users/register") => Some(Hot::Register),
        _ => None,
    }
}

/// RFC 9112, 3.2: who asks for a host in two ways, or in none, may be understood otherwise by whoever comes next.
fn has_one_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => true,
        (None, _) => request.version() < Version::HTTP_11,
        _ => false,
    }
}

/// Whether the target is one that can be passed on: `*` and a bare authority (RFC 9112, 3.2.3 and 3.2.4) are for proxies,
/// and would become the root.
fn names_a_path(request: &Request<Incoming>) -> bool {
    request.uri().path().starts_with('/')
}

/// As requests are counted; `pychat/monitor/watching.py` has the same ones.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// The session that a path asks to poll.
fn session_id(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/messages/poll/").filter(|id| !id.contains('/'))
}

/// The chat that a path asks to post in.
fn chat_id(path: &str) -> Option<&str> {
    path.strip_prefix("/v2/chats/")?.strip_suffix("/messages").filter(|id| !id.contains('/'))
}

/// Takes the body, which `answering` has no use for, from the wire first, so that the next request can be read.
fn after_body(request: Request<Incoming>, answering: Answering) -> Answering {
    let body = request.into_body();
    if body.is_end_stream() {
        return answering;
    }
    Box::pin(async {
        let is_read = body::drain(body).await;
        let answer = answering.await;
        if is_read { answer } else { unread(answer) }
    })
}

async fn send(context: Context, request: Request<Incoming>, id: HeaderValue) -> Answer {
    let (head, body) = request.into_parts();
    let body = match body::read(body, MAX_BODY, &context.shared.places).await {
        Ok(body) => body,
        Err(error) => return error.answer(&context, Contract::V1, id),
    };
    context.progress.enter(Phase::Working);
    let answer = context.shared.api.send(authorization(&head.headers).as_deref(), &body.data).await;
    let answer = reply(&context, answer, id);
    if body.cut_off { unread(answer) } else { answer }
}

async fn post_message(context: Context, request: Request<Incoming>, chat_id: String, id: HeaderValue) -> Answer {
    let (head, body) = request.into_parts();
    let body = match body::read(body, Contract::V2.max_body(), &context.shared.places).await {
        Ok(body) => body,
        Err(error) => return error.answer(&context, Contract::V2, id),
    };
    context.progress.enter(Phase::Working);
    let authorization = authorization(&head.headers);
    let answer = context.shared.api.post_message(authorization.as_deref(), &chat_id, &body.data).await;
    let answer = reply(&context, answer, id);
    if body.cut_off { unread(answer) } else { answer }
}

async fn start(context: Context, authorization: Option<String>, id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    reply(&context, context.shared.api.start(authorization.as_deref()).await, id)
}

async fn poll(context: Context, authorization: Option<String>, session_id: String, id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    let api = Arc::clone(&context.shared.api);
    reply(&context, api.poll(authorization.as_deref(), &session_id).await, id)
}

/// The answer to what is no request as HTTP has it.
pub fn malformed(context: &Context, contract: Contract, id: HeaderValue) -> Answer {
    context.shared.refusals.malformed.add(1);
    unread(reply(context, Refusal::Malformed.reply(contract), id))
}

/// The answer where there is no place for a request.
pub fn overloaded(context: &Context, contract: Contract, id: HeaderValue) -> Answer {
    context.shared.refusals.overloaded.add(1);
    reply(context, Refusal::Overloaded.reply(contract), id)
}

/// An answer to a request whose body is not read to its end, so that the connection is of no further use.
pub fn unread(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The token's header. Bytes that are no text are none of a token's, so it does not matter what becomes of them.
fn authorization(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    // Nearly always text, and to see that is much faster than to replace what is none.
    Some(str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed))
}

pub fn reply(context: &Context, mut reply: Reply, request_id: HeaderValue) -> Answer {
    context.progress.enter(Phase::Working);
    if let Some(polled) = reply.take_polled() {
        context.progress.answering(polled);
    }
    let mut answer = Response::new(AnswerBody::whole(reply.body, Arc::clone(&context.progress)));
    *answer.status_mut() = StatusCode::from_u16(reply.status).expect("api answers with HTTP's numbers");
    let requests = &context.shared.requests;
    requests.answered(context.route, context.method, reply.status, context.since.elapsed(), &request_id);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.media_type));
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
        Some(id) if context.shared.proxies.is_trusted(context.peer) => id.clone(),
        _ => HeaderValue::from_str(&format!("{:016x}", Uuid::new_v4().as_u64_pair().1)).expect("hex digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_spelling;

    #[test]
    fn every_spelling_is_the_route_that_the_application_reads() {
        for path in ["/", "/ping", "/v1/messages/poll/a:b", "*"] {
            assert_eq!(plain_spelling(path), None, "{path}");
        }
        let odd = ["/ping/", "//ping", "/ping///", "/%70ing", "/%70ing%2F", "%2fping"];
        for path in odd {
            assert_eq!(plain_spelling(path).as_deref(), Some("/ping"), "{path}");
        }
        assert_eq!(plain_spelling("/v2/chats/pc%3Aa/messages").as_deref(), Some("/v2/chats/pc:a/messages"));
        assert_eq!(plain_spelling("/50%/%zz").as_deref(), Some("/50%/%zz"));
    }
}
