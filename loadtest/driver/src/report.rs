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
    warm_up_sec: f64,
    senders: u32,
    connections: u32,
    sessions: u32,
    idle_polls: u32,
    text_bytes: u32,
    client_ids: bool,
    polls: usize,
    /// Answered ones a second.
    polls_per_sec: f64,
    /// Those whose last answer was no failure.
    polls_held: usize,
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
    /// What was not as it should be, in words: without any the run is sound.
    faults: Vec<String>,
}

/// Of the sends that were asked for so many must be done: some are under way when the time ends.
const REACHED: f64 = 0.98;

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
    given_up: usize,
}

impl Requests {
    fn new(outcomes: &Outcomes, pace: &Pace, duration: Duration) -> Self {
        Self {
            per_sec: outcomes.done as f64 / duration.as_secs_f64(),
            ms: outcomes.good.summary(),
            refused: outcomes.refused.clone(),
            refusal_ms: outcomes.refusals.summary(),
            unanswered: outcomes.unanswered,
            given_up: pace.given_up().count(),
        }
    }
}

impl Report {
    pub fn new(config: &Config, run: &Run, asides: &[Rc<Asides>], polls: usize, cpu: Duration) -> Self {
        let figures = run.figures.borrow();
        let sum = |each: fn(&Ledger) -> u64| run.ledgers.iter().map(|ledger| each(&ledger.borrow())).sum();
        let mut report = Self {
            rate: config.rate,
            duration_sec: config.duration.as_secs_f64(),
            warm_up_sec: config.warm_up.as_secs_f64(),
            senders: config.senders,
            connections: config.connections,
            sessions: config.sessions,
            idle_polls: config.idle_polls,
            text_bytes: config.text_bytes,
            client_ids: config.client_ids,
            polls,
            polls_per_sec: figures.polls as f64 / config.duration.as_secs_f64(),
            polls_held: polls - figures.failing,
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
            faults: Vec::new(),
        };
        report.faults = report.find_faults(config.overload);
        report
    }

    /// Whether all went as was asked for, and every accepted message came, once.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn find_faults(&self, is_overload: bool) -> Vec<String> {
        let mut counts = vec![(self.lost, "accepted messages did not come"), (self.doubled, "messages came twice")];
        if !is_overload {
            counts.extend([
                (self.sends.refused.values().sum(), "sends were refused"),
                (self.sends.unanswered, "sends were not answered"),
                (self.failed_polls, "polls failed"),
                (self.resyncs, "polls declared a gap"),
            ]);
        }
        let mut faults: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if let Some(rate) = self.rate
            && !is_overload
            && (self.sends.per_sec * self.duration_sec + 1.0) < REACHED * rate * self.duration_sec
        {
            faults.push(format!("{:.1} sends a second were done of {rate}", self.sends.per_sec));
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.rate.map_or_else(|| "as many as there can be".to_owned(), |rate| format!("{rate} asked for"));
        writeln!(f, "sends a second   {:.0} ({asked}), {:.0} s measured", self.sends.per_sec, self.duration_sec)?;
        writeln!(
            f,
            "                 {} senders over {} connections, {} of {} polls held",
            self.senders, self.connections, self.polls_held, self.polls
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
        write!(f, "this program     {:.2} cores", self.driver_cpu)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\nNOT SOUND        {fault}"))
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, ms: &Summary) -> fmt::Result {
    if ms.count == 0 {
        return Ok(());
    }
    writeln!(f, "{name:17}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}", ms.p50, ms.p90, ms.p98, ms.p99, ms.p999, ms.max)
}
