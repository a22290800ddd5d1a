//! Many threads on one hub, every message counted. `PYCHAT_STRESS_SECONDS` sets how long it runs (5 by default).

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pychat_core::hub::message::Message;
use pychat_core::hub::session::{ReadError, Session};
use pychat_core::hub::settings::Settings;
use pychat_core::hub::stats::Counter;
use pychat_core::hub::{Hub, OpenError, UserId};

const USERS: UserId = 8;
const SENDERS: usize = 3;
/// Ticks of the test's clock after which a session is idle.
const IDLE: i64 = 50;

#[derive(Default)]
struct Shared {
    hub: Hub,
    clock: AtomicI64,
    stop: AtomicBool,
    /// The senders have ended: what is in the queues now is all there will be.
    drained: AtomicBool,
    sent: AtomicUsize,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    delivered: AtomicUsize,
    declared: AtomicUsize,
    gone: AtomicUsize,
}

/// Senders number their messages for each user. Each user has one reader who opens sessions, reads them, sometimes goes
/// away before taking what it gathered, and sometimes stays away until the sweep closes the session. Time is a counter
/// that the sweeper moves. In each session every sender's numbers must arrive once and in order, no more of them
/// missing than were declared refused; and in the end each message that was sent was accepted, refused, or had no
/// session to go to; what was accepted was delivered, or is in a session that was closed with it; and what was refused
/// was declared, or is still to be in such a session.
#[test]
fn what_is_accepted_is_delivered_once_in_order_or_its_loss_is_declared() {
    let shared = Shared::default();
    shared.hub.apply(Settings {
        max_queue_size: 64,
        max_sessions_amount: 2,
        session_idle_timeout: IDLE,
        ..Settings::default()
    });
    let seconds = std::env::var("PYCHAT_STRESS_SECONDS").map_or(5, |text| text.parse().expect("whole seconds"));
    let until = Instant::now() + Duration::from_secs(seconds);

    let sessions: Vec<Arc<Session>> = std::thread::scope(|scope| {
        let shared = &shared;
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(shared, sender))).collect();
        let readers: Vec<_> = (0..USERS).map(|user| scope.spawn(move || Reading::new(shared, user).run())).collect();
        while Instant::now() < until {
            shared.clock.fetch_add(1, Ordering::Relaxed);
            sweep(&shared.hub, shared.clock.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_micros(200));
        }
        shared.stop.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| sender.join().expect("a sender"));
        shared.drained.store(true, Ordering::Relaxed);
        readers.into_iter().flat_map(|reader| reader.join().expect("the reader's checks hold")).collect()
    });

    let (sent, accepted, refused) =
        (shared.sent.into_inner(), shared.accepted.into_inner(), shared.refused.into_inner());
    let (delivered, declared, gone) =
        (shared.delivered.into_inner(), shared.declared.into_inner(), shared.gone.into_inner());
    let (closed, open): (Vec<_>, Vec<_>) = sessions.iter().partition(|session| session.is_closed());
    let left: usize = closed.iter().map(|session| session.waiting()).sum();
    let undeclared: usize = closed.iter().map(|session| session.undeclared()).sum();
    println!(
        "sent {sent}; accepted {accepted}, of which delivered {delivered}, left in closed sessions {left}; refused \
         {refused}, of which declared {declared}, left {undeclared}; sessions gone {gone}"
    );
    assert!(delivered > 0 && declared > 0 && gone > 0, "the run must reach every case");
    let stats = &shared.hub.stats;
    // A user has one session at a time.
    assert_eq!(sent, accepted + refused + count(&stats.send_dropped_offline));
    assert_eq!((accepted, refused), (count(&stats.send_successful), count(&stats.send_dropped_overflow)));
    assert!(open.iter().all(|session| (session.waiting(), session.undeclared()) == (0, 0)), "they were read empty");
    assert_eq!((accepted, refused), (delivered + left, declared + undeclared));
    // Their owners stayed away or were slower than the sweep; that is the exception.
    assert!(left < accepted / 2);
    sweep(&shared.hub, i64::MAX);
    assert_eq!(shared.hub.online(), 0);
    assert_eq!(stats.sessions_opened.get(), 0);
}

fn count(counter: &Counter) -> usize {
    usize::try_from(counter.get()).expect("it fits")
}

fn sweep(hub: &Hub, now: i64) {
    for shard in 0..hub.shard_count() {
        hub.sweep(shard, now);
    }
    hub.release_swept(|| ());
}

fn send(shared: &Shared, sender: usize) {
    let name = sender.to_string();
    for number in 0.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        for user in 0..USERS {
            let delivery = shared.hub.deliver(&Message::new(&name, &number.to_string(), 0), [user]);
            shared.sent.fetch_add(1, Ordering::Relaxed);
            shared.accepted.fetch_add(delivery.accepted, Ordering::Relaxed);
            shared.refused.fetch_add(delivery.refused, Ordering::Relaxed);
        }
        if number % 16 == 0 {
            std::thread::yield_now();
        }
    }
}

/// One user's reader.
struct Reading<'a> {
    shared: &'a Shared,
    user: UserId,
    turn: usize,
    runtime: tokio::runtime::Runtime,
    /// Every session it ever had.
    sessions: Vec<Arc<Session>>,
    session: Option<Seen>,
}

/// What was seen of the session that is open.
#[derive(Default)]
struct Seen {
    /// By sender, the number that comes next if nothing is lost.
    next: HashMap<usize, usize>,
    missing: usize,
    declared: usize,
}

impl<'a> Reading<'a> {
    fn new(shared: &'a Shared, user: UserId) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { shared, user, turn: user as usize, runtime, sessions: Vec::new(), session: None }
    }

    fn now(&self) -> i64 {
        self.shared.clock.load(Ordering::Relaxed)
    }

    fn run(mut self) -> Vec<Arc<Session>> {
        while self.step() {}
        self.sessions
    }

    /// One poll; false when everything is read and no more will come.
    fn step(&mut self) -> bool {
        let last = self.shared.drained.load(Ordering::Relaxed);
        if self.session.is_none() {
            self.open();
        }
        let id = self.sessions.last().expect("one is open").id();
        let reader = match self.shared.hub.read(self.user, &id, self.now()) {
            Ok(reader) => reader,
            Err(ReadError::Gone) => {
                self.shared.gone.fetch_add(1, Ordering::Relaxed);
                self.session = None;
                return true;
            }
            Err(ReadError::Busy) => panic!("nobody else reads it"),
        };
        let hold = Duration::from_millis(if last { 0 } else { 20 });
        let something = async { tokio::time::timeout(hold, poll_fn(|cx| reader.poll_something(cx))).await };
        if self.runtime.block_on(something).is_err() && last {
            return false;
        }
        self.turn += 1;
        let taken = reader.gather(10);
        // Every seventh goes away instead: the next reader must find the same.
        if !self.turn.is_multiple_of(7) {
            let seen = self.session.as_mut().expect("it is open");
            seen.declared += taken.refused;
            self.shared.declared.fetch_add(taken.refused, Ordering::Relaxed);
            self.shared.delivered.fetch_add(taken.messages, Ordering::Relaxed);
            reader.commit(&taken, |message| seen.check(message.json()));
        }
        reader.finish(self.now());
        if self.turn.is_multiple_of(501) && !last {
            self.stay_away();
        }
        true
    }

    fn open(&mut self) {
        let session = loop {
            match self.shared.hub.open(self.user, self.now()) {
                Ok(session) => break session,
                Err(OpenError::TooManySessions) => std::thread::yield_now(),
                Err(OpenError::TooManyUsers) => unreachable!("the bound is far above"),
            }
        };
        self.sessions.push(session);
        self.session = Some(Seen::default());
    }

    /// Until the sweep has closed the session.
    fn stay_away(&self) {
        let left = self.now();
        while self.now() < left + 2 * IDLE && !self.shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Seen {
    fn check(&mut self, json: &[u8]) {
        let text = std::str::from_utf8(json).expect("JSON is UTF-8");
        let digits: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|d| d.parse().ok()).collect();
        let [sender, number] = digits[..] else { panic!("not a message of this test: {text}") };
        let next = self.next.entry(sender).or_insert(number);
        assert!(number >= *next, "doubled or out of order: {number} where {next} comes next");
        self.missing += number - *next;
        *next = number + 1;
        assert!(self.missing <= self.declared, "a gap that no answer declared");
    }
}
