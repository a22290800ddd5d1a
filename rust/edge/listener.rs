//! Listening sockets and the threads that serve them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use super::connection::Registered;
use super::forward::Forwarder;
use super::progress::LOOK_EVERY;
use super::{Shared, connection};

/// Connections that wait to be accepted, a socket: the kernel's own default bound (`net.core.somaxconn`).
const BACKLOG: i32 = 4_096;

/// Which listener a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Public,
    Monitor,
}

/// Binds `sockets` sockets to one address. It is tried first without `SO_REUSEPORT`, so that an address which somebody
/// else serves is noticed even where they would share it.
pub fn bind(address: SocketAddr, sockets: usize) -> io::Result<Vec<StdListener>> {
    drop(socket(address, false)?);
    let sockets = (0..sockets).map(|_| {
        let socket = socket(address, true)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    sockets.collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One thread's life: accepts and serves until the edge is closed.
pub fn run(shared: &Arc<Shared>, thread: usize, doors: Vec<(StdListener, Door)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let forwarder = Forwarder::new(&shared.config.upstream, shared.connections.len());
        for (socket, door) in doors {
            let socket = TcpListener::from_std(socket).expect("a listening socket");
            tokio::spawn(accept(Arc::clone(shared), thread, socket, door, forwarder.clone()));
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let closed = shared.close.notified();
            if shared.closing.load(Ordering::SeqCst) {
                return;
            }
            tokio::select! {
                () = closed => return,
                _ = look.tick() => shared.look(thread),
            }
        }
    });
    // Whatever is still open ends here: its tasks are dropped.
    runtime.shutdown_background();
}

async fn accept(shared: Arc<Shared>, thread: usize, socket: TcpListener, door: Door, forwarder: Forwarder) {
    loop {
        let draining = shared.drain.notified();
        if door == Door::Public && shared.draining.load(Ordering::SeqCst) {
            break;
        }
        let accepted = tokio::select! {
            () = draining, if door == Door::Public => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(&shared, thread, stream, peer, door, &forwarder),
            // Out of descriptors, say, or a client that was gone again; neither gets better by trying at once.
            Err(_) => {
                shared.refusals.accept_failed.add(1);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    // Who is connected already may have sent its request.
    let socket = socket.into_std().expect("a listening socket");
    for _ in 0..BACKLOG {
        let Ok((stream, peer)) = socket.accept() else { break };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            admit(&shared, thread, stream, peer, door, &forwarder);
        }
    }
    shared.listening.fetch_sub(1, Ordering::SeqCst);
}

/// Starts serving the connection, or turns it away.
fn admit(shared: &Arc<Shared>, thread: usize, stream: TcpStream, peer: SocketAddr, door: Door, forwarder: &Forwarder) {
    // Counted here, not by the task: many may be accepted before one of their tasks runs.
    let Some(registered) = Registered::new(shared, thread, door) else {
        shared.refusals.too_many_connections.add(1);
        shared.turned_away.tell(stream);
        return;
    };
    // Answers are small and complete: waiting for more to send with them only delays them.
    let _ = stream.set_nodelay(true);
    tokio::spawn(connection::serve(registered, stream, peer.ip(), forwarder.clone()));
}
