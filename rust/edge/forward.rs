//! Passing a request on to the application's Unix socket, streamed both ways.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::address::FORWARDED_FOR;
use super::body::{self, AnswerBody, BodyError, ForwardedBody};
use super::listener::Door;
use super::progress::Phase;
use super::router::{Answer, Context, reply, unread};
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
/// Requests the application may have under way. It answers some 2,000 a second, so that the last of them waits for a
/// quarter of a second; each takes some 30 KB meanwhile. More are refused at once.
const MAX_UNDER_WAY: usize = 500;

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

/// Places for requests that the application has under way.
pub fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_UNDER_WAY))
}

/// One thread's connections to the application.
#[derive(Clone)]
pub struct Forwarder {
    client: Client<UnixConnector, ForwardedBody>,
}

impl Forwarder {
    pub fn new(socket: &Path) -> Self {
        let connector = UnixConnector { socket: socket.into() };
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    pub async fn forward(self, context: Context, request: Request<Incoming>, id: HeaderValue) -> Answer {
        let context = &context;
        let (mut head, body) = request.into_parts();
        let contract = Contract::of(head.uri.path());
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY) {
            // Enough of it first that the client comes to read the answer.
            body::read(body, 0).await;
            return unread(reply(context, Refusal::BodyTooLarge.reply(contract), id));
        }
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
            return unread(reply(context, Refusal::Malformed.reply(contract), id));
        };
        head.uri = uri;
        head.version = Version::HTTP_11;
        let body = ForwardedBody::begun(body, WHOLE_BODY, MAX_BODY, Arc::clone(&context.progress)).await;
        let body = match body {
            Ok(body) => body,
            Err(error) => return unread(reply(context, Refusal::from(&error).reply(contract), id)),
        };
        if body.size_hint().exact().is_none() {
            // Else hyper leaves out the body of a GET that does not say its length.
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let Some(place) = place(context) else {
            context.shared.refusals.overloaded.add(1);
            let answer = reply(context, Refusal::Overloaded.reply(contract), id);
            return if body.is_end_stream() { answer } else { unread(answer) };
        };
        // A task of its own, that goes on when the client leaves, as the application does: until that has answered, the
        // place is taken.
        let asked = tokio::spawn(async move {
            let _place = place;
            self.client.request(Request::from_parts(head, body)).await
        });
        match asked.await.expect("a request neither panics nor is cancelled") {
            Ok(answer) => {
                context.progress.enter(Phase::Working);
                let (mut head, body) = answer.into_parts();
                strip_hop_by_hop(&mut head.headers);
                Answer::from_parts(head, AnswerBody::forwarded(body, Arc::clone(&context.progress)))
            }
            Err(error) => {
                let refusal = body_error(&error).map_or_else(
                    || {
                        context.shared.refusals.upstream_unavailable.add(1);
                        Refusal::ApplicationUnavailable
                    },
                    Refusal::from,
                );
                unread(reply(context, refusal.reply(contract), id))
            }
        }
    }
}

/// A place for one more request, if there is one. Operators get in when nobody else does.
fn place(context: &Context) -> Option<Option<OwnedSemaphorePermit>> {
    match context.door {
        Door::Public => Arc::clone(&context.shared.places).try_acquire_owned().ok().map(Some),
        Door::Monitor => Some(None),
    }
}

impl From<&BodyError> for Refusal {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::Broken => Self::Malformed,
        }
    }
}

/// Says whose request it is. What a client says of itself counts only from a trusted proxy.
fn address(context: &Context, headers: &mut HeaderMap, id: &HeaderValue) {
    let peer = context.peer.to_canonical().to_string();
    let hops = if context.shared.addresses.is_trusted(context.peer) {
        let earlier = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        earlier.chain([peer.as_str()]).collect::<Vec<_>>().join(", ")
    } else {
        peer
    };
    if let Ok(hops) = HeaderValue::from_str(&hops) {
        headers.insert(FORWARDED_FOR, hops);
    }
    headers.insert(REQUEST_ID, id.clone());
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
