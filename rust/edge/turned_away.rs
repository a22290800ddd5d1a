//! Connections that there is no room for: told so, and hung up on without losing what they were told.
//!
//! A socket that is closed with bytes unread, or that gets more afterwards, tells its client of that alone (a reset), and a
//! client that is still writing its request then never reads the answer. So the answer and the end of it go out at once,
//! and what the client still has to say is taken and thrown away for a moment. As that costs a descriptor each, it is done
//! for so many at a time; others are closed at once.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::{Refusal, Reply};

/// Part of the open files that are kept free for what is no public connection (`FILES_RESERVED` in `listeners.py`).
const AT_A_TIME: usize = 100;
/// More than a request has that would be answered: a head of 8 KB and a body of 64.
const MOST_UNREAD: usize = 128 * 1024;
/// What a phone on a bad line takes for that, and as long as an answer's way there and the client's end back.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub struct TurnedAway(Arc<Semaphore>);

impl TurnedAway {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }

    /// Says that there is no room, as far as one write goes, and hangs up.
    pub fn tell(&self, stream: TcpStream) {
        let Reply { body, .. } = Refusal::TooManyConnections.into();
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let socket = SockRef::from(&stream);
        // Whoever does not take it at once learns it from the closed connection.
        if socket.send(&[head.as_bytes(), &body].concat()).is_err() || socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        if let Ok(place) = Arc::clone(&self.0).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(LEAVE_WITHIN, hear_out(&stream)).await;
                drop(place);
            });
        }
    }
}

/// Until the client has hung up, or has said too much.
async fn hear_out(stream: &TcpStream) {
    let mut unread = 0;
    while unread < MOST_UNREAD && stream.readable().await.is_ok() {
        // Here, so that no task holds it while it waits.
        match stream.try_read(&mut [0; 8 * 1024]) {
            Ok(0) => return,
            Ok(read) => unread += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
