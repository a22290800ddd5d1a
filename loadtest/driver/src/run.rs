//! One run: what all its senders and pollers share, from the first send to the last message's arrival.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use crate::aside::Asides;
use crate::client::{Address, Client};
use crate::config::Config;
use crate::figures::Figures;
use crate::inbox::Inbox;
use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::peers::Peer;
use crate::report::Report;
use crate::setup::{Pair, Scene};
use crate::{poller, progress, sender, v1};

/// How long the last answers and messages may take after the last send; longer than any answer is waited for.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

pub struct Run {
    pub peer: Option<Peer>,
    pub client_ids: bool,
    pub start: Instant,
    pub warm_up: Duration,
    /// The warm-up and what is measured.
    pub length: Duration,
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

    /// Whether it is a time that is measured.
    pub fn is_measured(&self, time: Duration) -> bool {
        (self.warm_up..self.length).contains(&time)
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

    let everybody: Vec<_> = pairs.iter().map(|pair| &pair.sender).collect();
    let (logins, profiles) =
        (everybody.iter().map(|user| v1::login(user)), everybody.iter().map(|user| v1::profile(user)));
    let (logins, profiles): (Vec<_>, Vec<_>) = (logins.collect(), profiles.collect());
    let start = Instant::now();
    let length = config.warm_up + config.duration;
    let asides: Vec<_> = [("logins", config.logins, logins), ("profiles", config.profiles, profiles)]
        .into_iter()
        .filter_map(|(name, rate, requests)| {
            rate.map(|rate| Asides::new(name, Pace::new(Some(rate), start, length), requests, address))
        })
        .collect();
    let run = Rc::new(Run {
        peer: config.peer,
        client_ids: config.client_ids,
        start,
        warm_up: config.warm_up,
        length,
        text_bytes: config.text_bytes as usize,
        pace: Pace::new(config.rate, start, length),
        ledgers,
        pairs,
        figures: RefCell::default(),
        turn: Cell::new(0),
    });
    let cpu_before = cpu_time();
    // Dropped at the end, with the polls that are still held.
    let mut polling = JoinSet::new();
    let mut idle = 0;
    for (inbox, of_pair) in readers {
        // Not all at once, or they would all end at once too, when their time is over.
        let begin = config.warm_up.mul_f64(f64::from(idle) / f64::from(config.idle_polls.max(1)));
        idle += u32::from(of_pair.is_none());
        polling.spawn_local(poller::poll(Rc::clone(&run), inbox, of_pair, begin));
    }
    let mut sending = JoinSet::new();
    for client in senders {
        sending.spawn_local(sender::send(Rc::clone(&run), client));
    }
    let shown = tokio::task::spawn_local(progress::show(Rc::clone(&run)));
    let mut asking = JoinSet::new();
    for aside in &asides {
        asking.spawn_local(Rc::clone(aside).ask(Rc::clone(&run), config.connections));
    }
    run.pace.run().await?;
    shown.abort();
    let cpu = cpu_time() - cpu_before;
    {
        let mut figures = run.figures.borrow_mut();
        figures.sends.give_up(&run, &run.pace);
        run.pace.given_up().filter(|due| run.is_measured(*due)).for_each(|due| figures.lateness.record(length - due));
    }
    settle(&run, sending).await;
    for asked in asking.join_all().await {
        asked?;
    }
    Ok(Report::new(config, &run, &asides, polls, cpu))
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
