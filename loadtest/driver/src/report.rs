//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::figures::Summary;
use crate::ledger::Ledger;
use crate::run::Run;

#[derive(Serialize)]
pub struct Report {
    /// Sends a second that were asked for; `null` where the server set the pace.
    rate: Option<f64>,
    duration_sec: f64,
    senders: u32,
    connections: u32,
    polls: usize,
    /// Accepted sends a second.
    sends_per_sec: f64,
    send_ms: Summary,
    delivery_ms: Summary,
    /// How much too late sends were begun: where this is much of `send_ms`, the figures say more of this program's
    /// machine than of the server.
    lateness_ms: Summary,
    /// Refused sends by status, and how soon they were.
    refused: BTreeMap<u16, u64>,
    refusal_ms: Summary,
    /// Sends whose connection broke, so that nobody knows.
    unanswered: u64,
    /// Sends that were due and never begun: all connections were busy to the end.
    given_up: u64,
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

impl Report {
    pub fn new(config: &Config, run: &Run, polls: usize, cpu: Duration) -> Self {
        let figures = run.figures.borrow();
        let sum = |each: fn(&Ledger) -> u64| run.ledgers.iter().map(|ledger| each(&ledger.borrow())).sum();
        Self {
            rate: config.rate,
            duration_sec: config.duration.as_secs_f64(),
            senders: config.senders,
            connections: config.connections,
            polls,
            sends_per_sec: figures.sends.count() as f64 / config.duration.as_secs_f64(),
            send_ms: figures.sends.summary(),
            delivery_ms: figures.delivery.summary(),
            lateness_ms: figures.lateness.summary(),
            refused: figures.refused.clone(),
            refusal_ms: figures.refusals.summary(),
            unanswered: figures.unanswered,
            given_up: run.pace.given_up(),
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
        writeln!(f, "sends a second   {:.0} ({asked}), {:.0} s measured", self.sends_per_sec, self.duration_sec)?;
        writeln!(
            f,
            "                 {} senders over {} connections, {} polls held",
            self.senders, self.connections, self.polls
        )?;
        writeln!(f, "{:17}{:>9}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "p50", "p90", "p99", "p99.9", "max")?;
        let rows = [
            ("send", &self.send_ms),
            ("send to poll", &self.delivery_ms),
            ("refusal", &self.refusal_ms),
            ("begun too late", &self.lateness_ms),
        ];
        for (name, ms) in rows.into_iter().filter(|(_, ms)| ms.count > 0) {
            writeln!(f, "{name:17}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}", ms.p50, ms.p90, ms.p99, ms.p999, ms.max)?;
        }
        for (status, count) in &self.refused {
            writeln!(f, "refused          {count} with {status}")?;
        }
        writeln!(f, "unanswered       {}, never begun {}", self.unanswered, self.given_up)?;
        writeln!(f, "delivered        {}, lost {}, doubled {}", self.delivered, self.lost, self.doubled)?;
        writeln!(f, "polls            {} declared a gap, {} failed", self.resyncs, self.failed_polls)?;
        write!(f, "this program     {:.2} cores", self.driver_cpu)
    }
}
