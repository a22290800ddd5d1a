//! What is measured while a run goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::client::Answer;
use crate::pace::Pace;
use crate::run::Run;

/// What became of one kind of requests, of those that were due in the time that is measured, however late they ended: to
/// leave out what ends after it would leave out the slowest.
#[derive(Default)]
pub struct Outcomes {
    /// Those that did what they should, from when each was due to its answer; and those that were never begun, until the
    /// end, since they would have taken longer.
    pub good: Latencies,
    /// Good ones that ended in the time that is measured, for the rate: a server that is behind answers then what was
    /// due long before.
    pub done: u64,
    /// Refused ones, likewise.
    pub refusals: Latencies,
    /// Refused ones by status.
    pub refused: BTreeMap<u16, u64>,
    /// Those whose connection broke, so that nobody knows.
    pub unanswered: u64,
}

impl Outcomes {
    /// What came of a request that ends now.
    pub fn record(&mut self, run: &Run, due: Duration, answer: &Result<Answer>) {
        let end = run.start.elapsed();
        let is_good = answer.as_ref().is_ok_and(Answer::is_success);
        self.done += u64::from(is_good && run.is_measured(end));
        if !run.is_measured(due) {
            return;
        }
        let latency = end.saturating_sub(due);
        match answer {
            Ok(answer) if answer.is_success() => self.good.record(latency),
            Ok(answer) => {
                *self.refused.entry(answer.status).or_default() += 1;
                self.refusals.record(latency);
            }
            Err(_) => self.unanswered += 1,
        }
    }

    /// What never began.
    pub fn give_up(&mut self, run: &Run, pace: &Pace) {
        for due in pace.given_up().filter(|due| run.is_measured(*due)) {
            self.good.record(run.length.saturating_sub(due));
        }
    }
}

/// Of the messages.
#[derive(Default)]
pub struct Figures {
    pub sends: Outcomes,
    /// From when a send was due in the time that is measured to the end of the poll's answer that brings it.
    pub delivery: Latencies,
    /// By how much a send was begun too late, since this program or all its connections were busy.
    pub lateness: Latencies,
    /// Accepted sends since the start, the warm-up's included: for the progress.
    pub so_far: u64,
    /// Answered ones, of the time that is measured.
    pub polls: u64,
    pub resyncs: u64,
    pub failed_polls: u64,
    /// Sessions whose last poll failed.
    pub failing: usize,
}

/// In microseconds, to within a thousandth.
pub struct Latencies(Histogram<u64>);

/// Ten minutes: what takes longer counts as this.
const LONGEST_MICROS: u64 = 600_000_000;

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds and digits that are allowed"))
    }
}

/// Milliseconds.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p98: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_micros() as u64);
    }

    pub fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Summary {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p98: at(0.98),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1e3,
        }
    }
}
