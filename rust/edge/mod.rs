//! The native HTTP front: the hot routes on all cores, everything else passed on to the application.
//!
//! One thread a core, each with a runtime of its own and a listening socket of its own on the same address
//! (`SO_REUSEPORT`), so that a connection lives and dies on one core. A request for a hot route goes to `api` and never
//! meets Python; any other is streamed to the application's Unix socket, and its answer back.

mod address;
mod body;
mod connection;
mod forward;
mod listener;
mod progress;
mod pulse;
pub mod requests;
mod router;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::api::Api;
use crate::hub::stats::Counter;
use address::Addresses;
use listener::Door;
use progress::Connections;
use pulse::Pulse;
use requests::Requests;

/// What an edge is started with.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub monitor: SocketAddr,
    /// The application's Unix socket.
    pub upstream: PathBuf,
    /// Threads; 0 for one a core.
    pub threads: usize,
    /// Open connections in total, and by client address.
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    /// Whose `X-Forwarded-For` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long the application's event loop may be silent until the process is given up.
    pub watchdog: Duration,
}

/// What was turned away before it became a request, by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    pub too_many_connections: Counter,
    pub too_many_of_address: Counter,
    /// Too slow in sending a head or a body, or in taking an answer.
    pub too_slow: Counter,
    /// Not HTTP, or a head over the bound.
    pub malformed: Counter,
    /// The application could not be reached.
    pub upstream_unavailable: Counter,
    /// The application has as much under way as it may.
    pub overloaded: Counter,
}

/// What the threads share.
struct Shared {
    api: Arc<Api>,
    config: Config,
    /// Public connections.
    open: AtomicUsize,
    addresses: Arc<Addresses>,
    refusals: Refusals,
    pulse: Pulse,
    requests: Arc<Requests>,
    /// For requests that the application has under way.
    places: Arc<Semaphore>,
    /// Public connections end when they are idle, and no new ones are taken.
    draining: AtomicBool,
    drain: Notify,
    /// Everything ends.
    closing: AtomicBool,
    close: Notify,
    connections: Vec<Connections>,
}

/// The running edge. Dropped without `close`, its threads go on.
pub struct Edge {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Edge {
    /// Binds both addresses and starts the threads.
    ///
    /// # Errors
    /// An address cannot be bound: in use, not of this machine, not allowed.
    pub fn start(api: Arc<Api>, requests: Arc<Requests>, config: Config) -> io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores() } else { config.threads };
        let public = listener::bind(config.listen, threads)?;
        let operators = listener::bind(config.monitor, 1)?;
        let shared = Arc::new(Shared {
            api,
            addresses: Arc::new(Addresses::new(&config)),
            pulse: Pulse::new(config.watchdog),
            places: forward::places(),
            config,
            open: AtomicUsize::new(0),
            refusals: Refusals::default(),
            requests,
            draining: AtomicBool::new(false),
            drain: Notify::new(),
            closing: AtomicBool::new(false),
            close: Notify::new(),
            connections: (0..threads).map(|_| Connections::default()).collect(),
        });
        let mut operators = operators.into_iter();
        let threads = public.into_iter().enumerate().map(|(thread, socket)| {
            let doors = [Some((socket, Door::Public)), operators.next().map(|socket| (socket, Door::Monitor))];
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("edge-{thread}"))
                .spawn(move || listener::run(&shared, thread, doors.into_iter().flatten().collect()))
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    pub fn refusals(&self) -> &Refusals {
        &self.shared.refusals
    }

    /// Open public connections: a gauge.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// The application's event loop turns: to be called about once a second.
    pub fn beat(&self) {
        self.shared.pulse.beat();
    }

    /// Takes no new public connections and lets those that are open end with the request they are in. The monitor
    /// goes on.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.drain.notify_waiters();
        self.shared.wake_connections();
    }

    /// Ends everything and waits for the threads.
    pub fn close(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.drain.notify_waiters();
        self.shared.close.notify_waiters();
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// What one thread does now and then.
    fn look(&self, thread: usize) {
        self.connections[thread].look();
        // One thread's work.
        if thread == 0 {
            self.pulse.look();
            if let Some(silence) = self.pulse.given_up() {
                eprintln!("pychat: the event loop has been silent for {} s: giving up", silence.as_secs());
                // Not `exit`: what that runs first may wait for the interpreter.
                // SAFETY: it ends the process, whatever state that is in.
                unsafe { libc::_exit(1) };
            }
        }
    }

    fn wake_connections(&self) {
        self.connections.iter().for_each(Connections::wake_all);
    }
}
