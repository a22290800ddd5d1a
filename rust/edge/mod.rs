//! The native HTTP front: the hot routes on all cores, everything else passed on to the application.
//!
//! One thread a core, each with a runtime of its own and a listening socket of its own on the same address
//! (`SO_REUSEPORT`), so that a connection lives and dies on one core. A request for a hot route goes to `api` and never
//! meets Python; any other is passed on to the application's Unix socket, and its answer back.

mod address;
mod body;
mod connection;
mod forward;
mod listener;
mod places;
mod progress;
mod pulse;
mod refusals;
pub mod requests;
mod router;
mod stream;
mod turned_away;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::api::Api;
use address::{Addresses, Proxies};
use listener::Door;
use places::Places;
use progress::Connections;
use pulse::Pulse;
use refusals::Refusals;
use requests::Requests;
use turned_away::TurnedAway;

/// For a log that is read; the process ends in any case.
const LAST_LINE_WITHIN: Duration = Duration::from_millis(500);

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

/// A thread's own hold on what all share, which its connections and requests have references to: if they all counted the
/// references to one and the same thing, its cache line would move from core to core with each request.
struct Shared(Arc<Common>);

impl Deref for Shared {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.0
    }
}

/// What the threads share.
struct Common {
    api: Arc<Api>,
    config: Config,
    /// Connections, by door.
    open: [AtomicUsize; 2],
    proxies: Proxies,
    /// Of connections and, behind trusted proxies, of requests.
    addresses: Arc<Addresses>,
    refusals: Refusals,
    pulse: Pulse,
    requests: Arc<Requests>,
    places: Places,
    turned_away: TurnedAway,
    /// The application has as many sign-ins under way as it may.
    refusing_sign_ins: AtomicBool,
    /// Public connections end when they are idle, and no new ones are taken.
    draining: AtomicBool,
    drain: Notify,
    /// Public listeners that take connections.
    listening: AtomicUsize,
    /// Everything ends.
    closing: AtomicBool,
    close: Notify,
    connections: Vec<Connections>,
}

/// The running edge. Dropped without `close`, its threads go on.
pub struct Edge {
    shared: Arc<Common>,
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
        let shared = Arc::new(Common {
            api,
            proxies: Proxies::new(&config.trusted_proxies),
            addresses: Arc::new(Addresses::new(config.max_connections_per_address)),
            pulse: Pulse::new(config.watchdog),
            places: Places::new(),
            turned_away: TurnedAway::new(),
            refusing_sign_ins: AtomicBool::new(false),
            config,
            open: [const { AtomicUsize::new(0) }; 2],
            refusals: Refusals::default(),
            requests,
            draining: AtomicBool::new(false),
            drain: Notify::new(),
            listening: AtomicUsize::new(threads),
            closing: AtomicBool::new(false),
            close: Notify::new(),
            connections: (0..threads).map(|_| Connections::default()).collect(),
        });
        let mut operators = operators.into_iter();
        let threads = public.into_iter().enumerate().map(|(thread, socket)| {
            let doors = [Some((socket, Door::Public)), operators.next().map(|socket| (socket, Door::Monitor))];
            let shared = Arc::new(Shared(Arc::clone(&shared)));
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
        self.shared.open[Door::Public as usize].load(Ordering::Relaxed)
    }

    /// The application's event loop turns: to be called about once a second.
    pub fn beat(&self) {
        self.shared.pulse.beat();
    }

    /// Whether sign-ins are refused here: for the application to refuse one costs it ten times as much.
    pub fn refuse_sign_ins(&self, refused: bool) {
        self.shared.refusing_sign_ins.store(refused, Ordering::Relaxed);
    }

    /// Takes no new public connections and lets those that are open end with the request they are in. The monitor
    /// goes on.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.drain.notify_waiters();
        self.shared.wake_connections();
    }

    /// No public connection is open, and none will be.
    pub fn is_drained(&self) -> bool {
        self.shared.listening.load(Ordering::SeqCst) == 0 && self.open_connections() == 0
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

impl Common {
    /// What one thread does now and then.
    fn look(&self, thread: usize) {
        self.connections[thread].look();
        // One thread's work.
        if thread == 0 {
            self.pulse.look();
            if let Some(silence) = self.pulse.given_up() {
                say(format!("pychat: the event loop has been silent for {} s: giving up", silence.as_secs()));
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

/// Prints a last line, unless nobody takes it: a log that is not read may be what the event loop waits for.
fn say(line: String) {
    let (said, is_said) = mpsc::channel();
    let printing = std::thread::Builder::new().spawn(move || {
        eprintln!("{line}");
        let _ = said.send(());
    });
    if printing.is_ok() {
        let _ = is_said.recv_timeout(LAST_LINE_WITHIN);
    }
}
