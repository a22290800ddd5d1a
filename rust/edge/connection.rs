//! One client's connection: HTTP/1.1 by hyper, over a stream that notes how far it is.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;

use super::forward::Forwarder;
use super::listener::Door;
use super::progress::{Phase, Progress};
use super::stream::{self, Noted};
use super::{Shared, router};

/// Bytes a request's head may have; also the buffer a connection reads into, and all it holds while a poll is parked.
const MAX_HEAD: usize = 8 * 1024;

/// The operators' connections, which are not counted among the public ones: they get in when nobody else does.
const MAX_OPERATORS: usize = 100;

/// Serves the connection to its end.
pub async fn serve(registered: Registered, stream: TcpStream, peer: IpAddr, forwarder: Forwarder) {
    let Registered { shared, door, progress, .. } = &registered;
    let door = *door;
    // Behind a trusted proxy, whose connections many clients share, requests are counted instead (`router`).
    let place = if door == Door::Public && !shared.proxies.is_trusted(peer) {
        match shared.addresses.enter(peer) {
            Some(place) => Some(place),
            None => {
                shared.refusals.too_many_of_address.add(1);
                shared.turned_away.tell(stream);
                return;
            }
        }
    } else {
        None
    };
    let is_draining = || door == Door::Public && shared.draining.load(Ordering::SeqCst);
    let socket = stream.as_raw_fd();
    let service = service_fn(|request| {
        let context = router::Context::new(Arc::clone(shared), door, peer, Arc::clone(progress), &request);
        let answering = router::answer(context, &forwarder, request);
        async {
            let mut answer = answering.await;
            if is_draining() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = Noted::new(stream, Arc::clone(progress));
    let mut http = pin!(http1::Builder::new().max_buf_size(MAX_HEAD).serve_connection(stream, service));
    let mut told = false;
    poll_fn(|cx| {
        progress.task.register(cx.waker());
        if progress.is_expired() {
            if progress.phase() != Phase::Idle {
                shared.refusals.too_slow.add(1);
            }
            return Poll::Ready(());
        }
        let mut ended = http.as_mut().poll(cx);
        // hyper closes a connection that is between requests at once: not where the next one has arrived and only waits
        // to be read.
        if ended.is_pending() && !told && is_draining() && !is_asked(progress, socket) {
            told = true;
            http.as_mut().graceful_shutdown();
            ended = http.as_mut().poll(cx);
        }
        if ready!(ended).is_err_and(|error| error.is_parse()) {
            shared.refusals.malformed.add(1);
        }
        Poll::Ready(())
    })
    .await;
    drop(place);
}

/// Whether part of a request is there that hyper has not begun to serve.
fn is_asked(progress: &Progress, socket: RawFd) -> bool {
    match progress.phase() {
        Phase::Idle => stream::has(socket, libc::POLLIN),
        phase => phase == Phase::Head,
    }
}

/// Counts the connection while it lives.
pub struct Registered {
    shared: Arc<Shared>,
    thread: usize,
    place: usize,
    door: Door,
    progress: Arc<Progress>,
}

impl Registered {
    /// `None` where there are as many as may be.
    pub fn new(shared: &Arc<Shared>, thread: usize, door: Door) -> Option<Self> {
        let limit = match door {
            Door::Public => shared.config.max_connections,
            Door::Monitor => MAX_OPERATORS,
        };
        let below = |open: usize| (open < limit).then_some(open + 1);
        shared.open[door as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        let progress = Progress::new();
        let place = shared.connections[thread].add(Arc::clone(&progress));
        Some(Self { shared: Arc::clone(shared), thread, place, door, progress })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.connections[self.thread].remove(self.place);
        self.shared.open[self.door as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
