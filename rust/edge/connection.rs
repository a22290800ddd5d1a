//! One client's connection: HTTP/1.1 by hyper, over a stream that notes how far it is.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::forward::Forwarder;
use super::listener::Door;
use super::progress::{Phase, Progress};
use super::{Shared, router};
use crate::api::{Refusal, Reply};

/// Bytes a request's head may have; also the buffer a connection reads into, and all it holds while a poll is parked.
const MAX_HEAD: usize = 8 * 1024;

/// Says that there is no room, as far as one write goes, and hangs up.
pub fn turn_away(stream: &TcpStream) {
    let Reply { body, .. } = Refusal::TooManyConnections.into();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Whoever does not take it at once learns it from the closed connection.
    let _ = stream.try_write(&[head.as_bytes(), &body].concat());
}

/// Serves the connection to its end.
pub async fn serve(registered: Registered, stream: TcpStream, peer: IpAddr, forwarder: Forwarder) {
    let Registered { shared, door, progress, .. } = &registered;
    let door = *door;
    // Behind a trusted proxy, whose connections many clients share, requests are counted instead (`router`).
    let place = if door == Door::Public && !shared.addresses.is_trusted(peer) {
        match shared.addresses.enter(peer) {
            Some(place) => Some(place),
            None => {
                shared.refusals.too_many_of_address.add(1);
                turn_away(&stream);
                return;
            }
        }
    } else {
        None
    };
    let io = Noted { stream: TokioIo::new(stream), progress: Arc::clone(progress) };
    let service = service_fn(|request| {
        let context = router::Context::new(Arc::clone(shared), door, peer, Arc::clone(progress));
        let answering = router::answer(context, &forwarder, request);
        async { Ok::<_, Infallible>(answering.await) }
    });
    let mut http = pin!(http1::Builder::new().max_buf_size(MAX_HEAD).serve_connection(io, service));
    let mut told = false;
    poll_fn(|cx| {
        progress.task.register(cx.waker());
        if progress.is_expired() {
            if progress.phase() != Phase::Idle {
                shared.refusals.too_slow.add(1);
            }
            return Poll::Ready(());
        }
        if !told && door == Door::Public && shared.draining.load(Ordering::SeqCst) {
            told = true;
            http.as_mut().graceful_shutdown();
        }
        let ended = ready!(http.as_mut().poll(cx));
        if ended.is_err_and(|error| error.is_parse()) {
            shared.refusals.malformed.add(1);
        }
        Poll::Ready(())
    })
    .await;
    drop(place);
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
    /// `None` where there are as many as may be. The monitor's are not counted: operators get in when nobody else does.
    pub fn new(shared: &Arc<Shared>, thread: usize, door: Door) -> Option<Self> {
        if door == Door::Public {
            let below = |open: usize| (open < shared.config.max_connections).then_some(open + 1);
            shared.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        }
        let progress = Progress::new();
        let place = shared.connections[thread].add(Arc::clone(&progress));
        Some(Self { shared: Arc::clone(shared), thread, place, door, progress })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.connections[self.thread].remove(self.place);
        if self.door == Door::Public {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A stream that notes when a request begins to come in, when an answer begins to go out and when it is not taken.
struct Noted {
    stream: TokioIo<TcpStream>,
    progress: Arc<Progress>,
}

impl Noted {
    fn write(
        &mut self,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>) -> Poll<std::io::Result<usize>>,
    ) -> Poll<std::io::Result<usize>> {
        // The system takes bytes for a client that has hung up without our having heard of it; a poll's messages must not
        // go that way.
        let is_answering = self.progress.is_answering();
        if is_answering && has_hung_up(self.stream.inner()) {
            return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
        }
        let written = write(Pin::new(&mut self.stream));
        match written {
            Poll::Pending => self.progress.advance(Phase::Working, Phase::Stalled),
            Poll::Ready(_) => self.progress.advance(Phase::Stalled, Phase::Working),
        }
        if is_answering && matches!(written, Poll::Ready(Ok(1..))) {
            self.progress.answered();
        }
        written
    }
}

fn has_hung_up(stream: &TcpStream) -> bool {
    // A peek would see what the client sent before, where nobody has read it yet, and not the end behind it.
    let mut end = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: it is given the one entry that it is told of, and `stream` keeps the descriptor open.
    unsafe { libc::poll(&raw mut end, 1, 0) > 0 }
}

impl Read for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.progress.advance(Phase::Idle, Phase::Head);
        }
        read
    }
}

impl Write for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.write(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.write(|stream| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
