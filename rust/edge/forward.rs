//! Passing a request on to the application's Unix socket, and its answer back.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tower_service::Service;

use super::address::FORWARDED_FOR;
use super::body::{self, AnswerBody, BodyError, ForwardedBody};
use super::listener::Door;
use super::progress::Phase;
use super::router::{Answer, Context, malformed, overloaded, reply, unread};
use crate::api::{Contract, Refusal};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Tells the application which listener a request came through; clients' own are stripped.
const LISTENER: HeaderName = HeaderName::from_static("x-pychat-listener");
/// Bytes a forwarded body may have: what the application takes from the wire to answer with its own, far lower bounds.
/// Beyond, the body is cut off and the connection ends with the answer.
const MAX_BODY: usize = 1_000_000;
/// A body up to this, the longest that any route takes, is passed on when it is whole: one that is slow in coming keeps
/// nothing of the application's waiting.
const WHOLE_BODY: usize = 64 * 1024;
/// How long a connection to the application is kept for the next request. Granian ends one after 30 s, and a request that
/// is written at that instant would be lost.
const IDLE: Duration = Duration::from_secs(20);
/// And how many are, by all threads: more than have to wait for a request while most of the application's turns are taken.
/// Each is two open files (`FILES_RESERVED` in `listeners.py`).
const IDLE_AT_A_TIME: usize = 32;

/// Headers that concern one connection alone (RFC 9110, 7.6.1), and those that hyper frames anew.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// One thread's connections to the application.
#[derive(Clone)]
pub struct Forwarder {
    client: Client<UnixConnector, ForwardedBody>,
}

impl Forwarder {
    /// `threads` of them there are.
    pub fn new(socket: &Path, threads: usize) -> Self {
        let connector = UnixConnector { socket: socket.into() };
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        client.pool_max_idle_per_host((IDLE_AT_A_TIME / threads).max(1));
        Self { client: client.build(connector) }
    }

    /// Passes the request on, and the application's answer back. `hashes`: it may wait for the hashing of a password.
    pub async fn forward(
        self,
        mut context: Context,
        request: Request<Incoming>,
        id: HeaderValue,
        hashes: bool,
    ) -> Answer {
        // The client's own, which it keeps as long as the one below.
        let of_client = context.place.take();
        let (context, places) = (&context, &context.shared.places);
        let (mut head, body) = request.into_parts();
        let contract = Contract::of(head.uri.path());
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY) {
            // Who asked before sending it need not send it.
            if !head.headers.contains_key(EXPECT) {
                body::drain(body).await;
            }
            return unread(reply(context, Refusal::BodyTooLarge.reply(contract), id));
        }
        let client = context.shared.proxies.client(context.peer, &head.headers);
        strip_hop_by_hop(&mut head.headers);
        head.headers.remove(CONTENT_LENGTH);
        // hyper has told the client to go on by reading its body.
        head.headers.remove(EXPECT);
        address(context, &mut head.headers, &id);
        if let Some(authority) = head.uri.authority() {
            // A request line with a whole address overrules `Host` (RFC 9112, 3.2.2).
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            if let Ok(host) = HeaderValue::from_str(host) {
                head.headers.insert(HOST, host);
            }
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("http://application{path}").parse::<Uri>() else {
            return malformed(context, contract, id);
        };
        head.uri = uri;
        head.version = Version::HTTP_11;
        let body = ForwardedBody::begun(body, WHOLE_BODY, MAX_BODY, Arc::clone(&context.progress), places).await;
        let body = match body {
            Ok(body) => body,
            Err(error) => return error.answer(context, contract, id),
        };
        if body.size_hint().exact().is_none() {
            // Else hyper leaves out the body of a GET that does not say its length.
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let Some(place) = places.enter(context.door, client) else {
            let answer = overloaded(context, contract, id);
            return if body.is_end_stream() { answer } else { unread(answer) };
        };
        if body.is_whole {
            // It is not the client any more who is slow.
            context.progress.enter(Phase::Working);
        }
        // Operators do not wait. Nor do those who wait for a hash, of whom the application has so many at most: nobody
        // else would get a turn meanwhile. Nor would anybody while bodies are slow to come.
        let turn = if matches!(context.door, Door::Public) && !hashes && body.is_whole {
            match places.turn().await {
                Some(turn) => Some(turn),
                None => return overloaded(context, contract, id),
            }
        } else {
            None
        };
        // A task of its own, that goes on when the client leaves, as the application does: until that has answered, the
        // place is taken. Not until the client has taken the answer: that is waited for here, without the application.
        let asked = tokio::spawn(async move {
            let _places = (place, of_client, turn);
            let (head, body) = self.client.request(Request::from_parts(head, body)).await?.into_parts();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head, body::gather(body).await?))
        });
        match asked.await.expect("a request neither panics nor is cancelled") {
            Ok((mut head, data)) => {
                let Some(room) = places.unread_room(context.door, client, data.len()) else {
                    return overloaded(context, contract, id);
                };
                context.progress.enter(Phase::Working);
                strip_hop_by_hop(&mut head.headers);
                Answer::from_parts(head, AnswerBody::forwarded(data, room, Arc::clone(&context.progress)))
            }
            Err(error) => match body_error(error.as_ref()) {
                Some(error) => error.answer(context, contract, id),
                None => {
                    context.shared.refusals.upstream_unavailable.add(1);
                    unread(reply(context, Refusal::ApplicationUnavailable.reply(contract), id))
                }
            },
        }
    }
}

impl BodyError {
    pub fn answer(&self, context: &Context, contract: Contract, id: HeaderValue) -> Answer {
        match self {
            Self::TooLarge => unread(reply(context, Refusal::BodyTooLarge.reply(contract), id)),
            Self::NoRoom => unread(overloaded(context, contract, id)),
            Self::Broken => malformed(context, contract, id),
        }
    }
}

/// Says whose request it is. What a client says of itself counts only from a trusted proxy.
fn address(context: &Context, headers: &mut HeaderMap, id: &HeaderValue) {
    let mut hops = Vec::new();
    if context.shared.proxies.is_trusted(context.peer) {
        for earlier in headers.get_all(FORWARDED_FOR) {
            hops.extend_from_slice(earlier.as_bytes());
            hops.extend_from_slice(b", ");
        }
    }
    hops.extend_from_slice(context.peer.to_canonical().to_string().as_bytes());
    headers.insert(FORWARDED_FOR, HeaderValue::from_bytes(&hops).expect("values and an address"));
    headers.insert(REQUEST_ID, id.clone());
    headers.append(VIA, HeaderValue::from_static("1.1 pychat"));
    let listener = match context.door {
        Door::Public => HeaderValue::from_static("public"),
        Door::Monitor => HeaderValue::from_str(&format!("monitor {}", context.shared.config.monitor))
            .expect("an address is visible ASCII"),
    };
    headers.insert(LISTENER, listener);
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn body_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a BodyError> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

#[derive(Clone)]
struct UnixConnector {
    socket: PathBuf,
}

impl Service<Uri> for UnixConnector {
    type Response = Upstream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Upstream>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let socket = self.socket.clone();
        Box::pin(async move { Ok(Upstream(TokioIo::new(UnixStream::connect(socket).await?))) })
    }
}

struct Upstream(TokioIo<UnixStream>);

impl Connection for Upstream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Upstream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Upstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
