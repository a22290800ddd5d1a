//! A connection's stream, which notes when a request begins to come in, when an answer begins to go out, when it is not
//! taken and when all of it is written.

use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::progress::{Phase, Progress};

/// See the module's text.
pub struct Noted {
    stream: TokioIo<TcpStream>,
    progress: Arc<Progress>,
}

impl Noted {
    pub fn new(stream: TcpStream, progress: Arc<Progress>) -> Self {
        Self { stream: TokioIo::new(stream), progress }
    }

    fn write(
        &mut self,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>) -> Poll<std::io::Result<usize>>,
    ) -> Poll<std::io::Result<usize>> {
        // The system takes bytes for a client that has hung up without our having heard of it; a poll's messages must not
        // go that way.
        let is_answering = self.progress.is_answering();
        // A peek would see what the client sent before, where nobody has read it yet, and not the end behind it.
        if is_answering && has(self.stream.inner().as_raw_fd(), libc::POLLRDHUP) {
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

/// Whether one of these events has come to an open socket, as far as the system knows; the runtime hears of it later.
pub fn has(socket: RawFd, events: libc::c_short) -> bool {
    let mut asked = libc::pollfd { fd: socket, events, revents: 0 };
    // SAFETY: it is given the one entry that it is told of.
    unsafe { libc::poll(&raw mut asked, 1, 0) > 0 }
}

impl Read for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.progress.read();
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
        // Asked for by hyper when its buffer is empty.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.progress.written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::edge::body::AnswerBody;

    /// More than the system keeps for a client that takes nothing.
    const SIZE: usize = 8 << 20;

    /// A client that has asked, and how far the server is with it.
    async fn asked() -> (TcpStream, Arc<Progress>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let (client, accepted) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
        let (mut client, (stream, _)) = (client.unwrap(), accepted.unwrap());
        let progress = Progress::new();
        let stream = Noted::new(stream, Arc::clone(&progress));
        let answering = Arc::clone(&progress);
        let service = service_fn(move |_| {
            answering.enter(Phase::Working);
            let body = AnswerBody::whole(vec![b'x'; SIZE], Arc::clone(&answering));
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        tokio::spawn(http1::Builder::new().max_buf_size(8_192).serve_connection(stream, service));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        (client, progress)
    }

    async fn until(progress: &Progress, phase: Phase) {
        let reached = async {
            while progress.phase() != phase {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.expect("it comes to this");
    }

    /// The client says `more` while it takes nothing.
    async fn stalls_until_all_is_taken(more: &[u8], after: Phase) {
        let (mut client, progress) = asked().await;
        until(&progress, Phase::Stalled).await;
        client.write_all(more).await.unwrap();
        assert!(!progress.expires_after(Duration::from_secs(30)));
        assert!(progress.expires_after(Duration::from_secs(31)));
        let mut taken = 0;
        let mut buffer = vec![0; SIZE / 50];
        while taken < SIZE {
            taken += client.read(&mut buffer).await.unwrap();
            let phase = progress.phase();
            // The system may have the rest.
            let may_be_over = taken > SIZE / 4;
            assert!(may_be_over || matches!(phase, Phase::Working | Phase::Stalled), "{phase:?} after {taken}");
        }
        until(&progress, after).await;
    }

    #[tokio::test]
    async fn an_answer_is_over_when_all_of_it_is_written() {
        stalls_until_all_is_taken(b"", Phase::Idle).await;
    }

    #[tokio::test]
    async fn a_next_request_that_has_begun_does_not_hurry_who_takes_an_answer() {
        stalls_until_all_is_taken(b"GET", Phase::Head).await;
    }
}
