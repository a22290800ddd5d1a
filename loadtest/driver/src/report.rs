//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use crate::aside::Asides;
use crate::config::Config;
use crate::figures::{Outcomes, Summary};
use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::run::Run;

#[derive(Serialize)]
pub struct Report {
    /// Sends a second that were asked for; `null` where the server set the pace.
    rate: Option<f64>,
    duration_sec: f64,
    senders: u32,
    connections: u32,
    polls: usize,
    /// Answered ones a second.
    polls_per_sec: f64,
    sends: Requests,
    delivery_ms: Summary,
    /// How much too late sends were begun: where this is much of their latency, the figures say more of this program's
    /// machine than of the server.
    lateness_ms: Summary,
    /// Requests beside the sends, by kind.
    asides: BTreeMap<&'static str, Requests>,
    /// Messages that came in all, counted in sessions; those of the warm-up as well, as in the next two.
    delivered: u64,
    /// Accepted messages that did not come.
    lost: u64,
    doubled: u64,
    /// Polls that said `resync_required`: then what is lost was at least declared.
    resyncs: u64,
    failed_polls: u64,
    /// Cores this program kept busy, of the one it can.
    driver_cpu: f64,
}

/// One kind of requests.
#[derive(Serialize)]
struct Requests {
    /// Successful ones a second.
    per_sec: f64,
    ms: Summary,
    /// Refused ones by status, and how soon they were.
    refused: BTreeMap<u16, u64>,
    refusal_ms: Summary,
    /// Those whose connection broke, so that nobody knows.
    unanswered: u64,
    /// Those that were due and never begun: all connections were busy to the end.
    given_up: u64,
}

impl Requests {
    fn new(outcomes: &Outcomes, pace: &Pace, duration: Duration) -> Self {
        Self {
            per_sec: outcomes.good.count() as f64 / duration.as_secs_f64(),
            ms: outcomes.good.summary(),
            refused: outcomes.refused.clone(),
            refusal_ms: outcomes.refusals.summary(),
            unanswered: outcomes.unanswered,
            given_up: pace.given_up(),
        }
    }
}

impl Report {
    pub fn new(config: &Config, run: &Run, asides: &[Rc<Asides>], polls: usize, cpu: Duration) -> Self {
        let figures = run.figures.borrow();
        let sum = |each: fn(&Ledger) -> u64| run.ledgers.iter().map(|ledger| each(&ledger.borrow())).sum();
        Self {
            rate: config.rate,
            duration_sec: config.duration.as_secs_f64(),
            senders: config.senders,
            connections: config.connections,
            polls,
            polls_per_sec: figures.polls as f64 / config.duration.as_secs_f64(),
            sends: Requests::new(&figures.sends, &run.pace, config.duration),
            asides: asides
                .iter()
                .map(|kind| (kind.name, Requests::new(&kind.outcomes.borrow(), &kind.pace, config.duration)))
                .collect(),
            delivery_ms: figures.delivery.summary(),
            lateness_ms: figures.lateness.summary(),
            delivered: sum(Ledger::delivered),
            lost: sum(Ledger::missing),
            doubled: sum(Ledger::doubled),
            resyncs: figures.resyncs,
            failed_polls: figures.failed_polls,
            driver_cpu: cpu.as_secs_f64() / (config.warm_up + config.duration).as_secs_f64(),
        }
    }

    /// Whether every accepted message came, once.
    pub fn is_sound(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.rate.map_or_else(|| "as many as there can be".to_owned(), |rate| format!("{rate} asked for"));
        writeln!(f, "sends a second   {:.0} ({asked}), {:.0} s measured", self.sends.per_sec, self.duration_sec)?;
        writeln!(
            f,
            "                 {} senders over {} connections, {} polls held",
            self.senders, self.connections, self.polls
        )?;
        writeln!(f, "{:17}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "p50", "p90", "p98", "p99", "p99.9", "max")?;
        row(f, "send", &self.sends.ms)?;
        row(f, "send to poll", &self.delivery_ms)?;
        row(f, "begun too late", &self.lateness_ms)?;
        for (name, requests) in &self.asides {
            row(f, name, &requests.ms)?;
        }
        for (name, requests) in
            self.asides.iter().map(|(name, requests)| (*name, requests)).chain([("sends", &self.sends)])
        {
            writeln!(
                f,
                "{name:17}{:.0} a second, {} never begun, {} unanswered",
                requests.per_sec, requests.given_up, requests.unanswered
            )?;
            for (status, count) in &requests.refused {
                writeln!(f, "  refused        {count} with {status}")?;
            }
            row(f, "  refused after", &requests.refusal_ms)?;
        }
        writeln!(f, "delivered        {}, lost {}, doubled {}", self.delivered, self.lost, self.doubled)?;
        writeln!(f, "polls            {} declared a gap, {} failed", self.resyncs, self.failed_polls)?;
        writeln!(f, "polls answered   {:.0} a second", self.polls_per_sec)?;
        write!(f, "this program     {:.2} cores", self.driver_cpu)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, ms: &Summary) -> fmt::Result {
    if ms.count == 0 {
        return Ok(());
    }
    writeln!(f, "{name:17}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}", ms.p50, ms.p90, ms.p98, ms.p99, ms.p999, ms.max)
}
