//! One run: what all its senders and pollers share, from the first send to the last message's arrival.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use crate::client::{Address, Client};
use crate::config::Config;
use crate::figures::Figures;
use crate::inbox::Inbox;
use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::peers::Peer;
use crate::report::Report;
use crate::setup::{Pair, Scene};
use crate::{poller, progress, sender};

/// How long the last answers and messages may take after the last send.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

pub struct Run {
    pub peer: Option<Peer>,
    pub start: Instant,
    pub warm_up: Duration,
    pub text_bytes: usize,
    pub pace: Pace,
    pub pairs: Vec<Pair>,
    /// One a pair.
    pub ledgers: Vec<RefCell<Ledger>>,
    pub figures: RefCell<Figures>,
    turn: Cell<usize>,
}

impl Run {
    /// Whose turn it is to send.
    pub fn next_pair(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.pairs.len());
        turn
    }

    /// Whether something due at this time counts for the figures.
    pub fn is_measured(&self, due: Duration) -> bool {
        due >= self.warm_up
    }

    /// Accepted messages that have not come yet.
    fn missing(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.borrow().missing()).sum()
    }
}

/// Must be called within a `LocalSet`: everything runs on one thread.
pub async fn run(address: &Rc<Address>, config: &Config, scene: Scene) -> Result<Report> {
    let Scene { mut pairs, idle } = scene;
    let ledgers = pairs.iter().map(|pair| RefCell::new(Ledger::new(pair.sessions.len()))).collect();
    let mut polled = Vec::new();
    for (number, pair) in pairs.iter_mut().enumerate() {
        polled.extend(pair.sessions.drain(..).enumerate().map(|(place, session)| (session, Some((number, place)))));
    }
    polled.extend(idle.into_iter().map(|session| (session, None)));
    let polls = polled.len();
    // One after the other: the server's backlog is short.
    let mut readers = Vec::new();
    for (session, of_pair) in polled {
        readers.push((Inbox::connected_to(address, session, config.peer).await?, of_pair));
    }
    let mut senders = Vec::new();
    for _ in 0..config.connections {
        senders.push(Client::connected_to(address).await?);
    }

    let start = Instant::now();
    let run = Rc::new(Run {
        peer: config.peer,
        start,
        warm_up: config.warm_up,
        text_bytes: config.text_bytes as usize,
        pace: Pace::new(config.rate, start, config.warm_up + config.duration),
        ledgers,
        pairs,
        figures: RefCell::default(),
        turn: Cell::new(0),
    });
    let cpu_before = cpu_time();
    // Dropped at the end, with the polls that are still held.
    let mut polling = JoinSet::new();
    for (inbox, of_pair) in readers {
        polling.spawn_local(poller::poll(Rc::clone(&run), inbox, of_pair));
    }
    let mut sending = JoinSet::new();
    for client in senders {
        sending.spawn_local(sender::send(Rc::clone(&run), client));
    }
    let shown = tokio::task::spawn_local(progress::show(Rc::clone(&run)));
    run.pace.run().await?;
    shown.abort();
    let cpu = cpu_time() - cpu_before;
    settle(&run, sending).await;
    Ok(Report::new(config, &run, polls, cpu))
}

/// Waits for the sends under way, then for what was accepted to arrive.
async fn settle(run: &Run, sending: JoinSet<()>) {
    let settled = async {
        sending.join_all().await;
        while run.missing() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // What is not there by then, the report tells.
    let _ = tokio::time::timeout(SETTLE_WITHIN, settled).await;
}

/// Of this process, all its threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
