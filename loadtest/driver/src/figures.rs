//! What is measured while a run goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What is measured is everything due after the warm-up.
#[derive(Default)]
pub struct Figures {
    /// Accepted sends, from when each was due to its answer.
    pub sends: Latencies,
    /// Refused ones, likewise.
    pub refusals: Latencies,
    /// From when a send was due to the end of the poll's answer that brings it.
    pub delivery: Latencies,
    /// By how much a send was begun too late, since this program or all its connections were busy.
    pub lateness: Latencies,
    /// Refused sends by status.
    pub refused: BTreeMap<u16, u64>,
    /// Sends whose connection broke.
    pub unanswered: u64,
    /// Accepted sends since the start, the warm-up's included: for the progress.
    pub so_far: u64,
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
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1e3,
        }
    }
}
