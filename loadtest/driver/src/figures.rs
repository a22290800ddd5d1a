//! What is measured while a run goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::client::Answer;

/// What became of one kind of requests, of those that ended in the time that is measured.
#[derive(Default)]
pub struct Outcomes {
    /// Those that did what they should, from when each was due to its answer.
    pub good: Latencies,
    /// Refused ones, likewise.
    pub refusals: Latencies,
    /// Refused ones by status.
    pub refused: BTreeMap<u16, u64>,
    /// Those whose connection broke, so that nobody knows.
    pub unanswered: u64,
}

impl Outcomes {
    pub fn record(&mut self, answer: &Result<Answer>, latency: Duration) {
        match answer {
            Ok(answer) if answer.is_success() => self.good.record(latency),
            Ok(answer) => {
                *self.refused.entry(answer.status).or_default() += 1;
                self.refusals.record(latency);
            }
            Err(_) => self.unanswered += 1,
        }
    }
}

/// Of the messages.
#[derive(Default)]
pub struct Figures {
    pub sends: Outcomes,
    /// From when a send was due to the end of the poll's answer that brings it.
    pub delivery: Latencies,
    /// By how much a send was begun too late, since this program or all its connections were busy.
    pub lateness: Latencies,
    /// Accepted sends since the start, the warm-up's included: for the progress.
    pub so_far: u64,
    /// Answered ones, of the time that is measured.
    pub polls: u64,
    pub resyncs: u64,
    pub failed_polls: u64,
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

    pub fn count(&self) -> u64 {
        self.0.len()
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
