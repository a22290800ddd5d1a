//! What the hub counts, under the names that the monitor shows. Atomics only: counting never waits, and hardly ever do
//! two threads that count slow one another.

use crossbeam_utils::CachePadded;

use super::tally::{STRIPES, Tally};
use crate::sync::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Counter(Tally);

impl Default for Counter {
    fn default() -> Self {
        Self(Tally::new(1, STRIPES))
    }
}

impl Counter {
    pub fn add(&self, amount: usize) {
        self.0.add(0, amount as u64);
    }

    pub fn get(&self) -> u64 {
        self.0.get(0)
    }
}

/// Goes up and down. `Relaxed`: read by people only.
#[derive(Debug, Default)]
pub struct Gauge(CachePadded<AtomicUsize>);

impl Gauge {
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn down(&self, amount: usize) {
        let before = self.0.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "it is counted up before it can be counted down");
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// Counts values by bucket; a value belongs to the first bucket whose bound is not below it, else to the last one.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One a bound, one for what is above the last, and the sum.
    cells: Tally,
}

/// A value that is shown: a number, or a histogram's content.
#[derive(Clone)]
pub struct Metric<V> {
    pub name: &'static str,
    /// One sentence for operators.
    pub help: &'static str,
    pub value: V,
}

/// A histogram's content, bucket by bucket and not yet cumulated.
#[derive(Clone)]
pub struct HistogramSnapshot {
    pub bounds: &'static [u64],
    /// One count a bound and one for what is above the last.
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Histogram {
    /// `stripes`: as for a `Tally`.
    pub fn new(bounds: &'static [u64], stripes: usize) -> Self {
        Self { bounds, cells: Tally::new(bounds.len() + 2, stripes) }
    }

    pub fn record(&self, value: u64) {
        self.cells.add(self.bounds.partition_point(|bound| *bound < value), 1);
        self.cells.add(self.bounds.len() + 1, value);
    }

    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut counts = self.cells.all();
        let sum = counts[self.bounds.len() + 1];
        counts.truncate(self.bounds.len() + 1);
        HistogramSnapshot { bounds: self.bounds, counts, sum }
    }
}

macro_rules! stats {
    (counters { $(#[doc = $counter_help:literal] $counter:ident: $counter_name:literal,)* }
     gauges { $(#[doc = $gauge_help:literal] $gauge:ident: $gauge_name:literal,)* }
     histograms { $(#[doc = $histogram_help:literal] $histogram:ident: $histogram_name:literal $bounds:expr,)* }) => {
        /// Field by field the metrics of the HTTP contract ("Monitor") that grow as things happen; what there is now is
        /// counted by `census`. The text of each is also what the monitor says of it.
        #[derive(Debug)]
        pub struct Stats {
            $(#[doc = $counter_help] pub $counter: Counter,)*
            $(#[doc = $gauge_help] pub $gauge: Gauge,)*
            $(#[doc = $histogram_help] pub $histogram: Histogram,)*
        }

        impl Default for Stats {
            fn default() -> Self {
                Self {
                    $($counter: Counter::default(),)*
                    $($gauge: Gauge::default(),)*
                    $($histogram: Histogram::new($bounds, STRIPES),)*
                }
            }
        }

        impl Stats {
            pub fn numbers(&self) -> Vec<Metric<u64>> {
                vec![
                    $(Metric { name: $counter_name, help: $counter_help.trim_ascii(), value: self.$counter.get() },)*
                    $(Metric { name: $gauge_name, help: $gauge_help.trim_ascii(), value: self.$gauge.get() },)*
                ]
            }

            pub fn histograms(&self) -> Vec<Metric<HistogramSnapshot>> {
                vec![$(Metric {
                    name: $histogram_name,
                    help: $histogram_help.trim_ascii(),
                    value: self.$histogram.snapshot(),
                },)*]
            }
        }
    };
}

stats! {
    counters {
        /// Messages put into a session's queue, counted once a session.
        send_successful: "chat_send_successful_total",
        /// Messages that a full session refused, counted once a session.
        send_dropped_overflow: "chat_send_dropped_overflow_total",
        /// Recipients of a message who had no session open.
        send_dropped_offline: "chat_send_dropped_offline_total",
        /// Polls answered with `resync_required: true`.
        resync_required: "chat_messages_resync_required_total",
        /// Sessions closed: idle ones, those of deleted users.
        sessions_removed: "chat_sessions_removed_total",
        /// Messages that polls have taken off their sessions.
        sessions_messages_sent: "chat_sessions_messages_sent_total",
        /// Mailboxes removed when their last session was closed: users gone offline.
        mailbox_removed: "chat_mailbox_removed_total",
        /// Token buckets removed as idle.
        limiter_removed: "chat_limiter_removed_total",
        /// Sends refused because their sender was over the rate.
        limiter_rejected: "chat_limiter_rejected_total",
        /// Messages stored.
        journal_committed: "chat_journal_committed_total",
        /// Messages refused since as many waited to be stored as may.
        journal_full: "chat_journal_refused_full_total",
        /// Messages refused since the database was away, or the server stopping.
        journal_closed: "chat_journal_refused_closed_total",
        /// Messages refused since their client id is that of one that may be stored or not.
        journal_doubted: "chat_journal_refused_doubted_total",
        /// Messages accepted that could then not be stored; their senders were told.
        journal_failed: "chat_journal_failed_total",
        /// Messages of which nobody knew for a while whether they were stored; their senders were told.
        journal_unknown: "chat_journal_unknown_total",
        /// Messages whose client id was used shortly before, or is that of one still under way.
        journal_repeats_recent: "chat_journal_repeats_recent_total",
        /// Messages whose client id was found in the database.
        journal_repeats_stored: "chat_journal_repeats_stored_total",
    }
    gauges {
        /// Polls under way: those that wait, and those being answered.
        polling_active: "chat_messages_polling_active_current",
        /// Sessions open.
        sessions_opened: "chat_sessions_opened_current",
    }
    histograms {
        /// How long a poll took, its wait included, in seconds.
        polling_duration_sec: "chat_messages_polling_duration_sec_hist" &[1, 2, 5, 10, 90, 180],
        /// How long a message waited in a queue before a poll took it, in seconds.
        queue_wait_latency_sec: "chat_messages_queue_wait_latency_sec_hist" &[1, 3, 5, 10, 15, 50, 100, 150, 200],
        /// How long a send took, the wait for its commit included, in microseconds.
        send_overhead_us: "chat_messages_send_overhead_us_hist" &[1, 100, 500, 1_000, 5_000],
        /// How long the server worked on a poll, its wait left out, in microseconds.
        polling_overhead_us: "chat_messages_polling_overhead_us_hist" &[1, 500, 700, 1_000, 5_000, 10_000, 100_000],
        /// Messages that a poll brought.
        batch_size: "chat_messages_batch_size_hist" &[1, 5, 10, 20, 50, 70, 100],
        /// Messages in a batch of the journal.
        journal_batch_size: "chat_journal_batch_size_hist" &[1, 5, 10, 50, 100, 200, 500, 1_000],
        /// How long an accepted message waited for its batch to be begun, in microseconds.
        journal_gather_us: "chat_journal_gather_duration_hist" &[100, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 1_000_000],
        /// How long a batch took from then until it was committed or given up, in microseconds.
        journal_write_us: "chat_journal_write_duration_hist" &[100, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 1_000_000],
        /// How long a committed batch took to be delivered and answered, in microseconds.
        journal_publish_us: "chat_journal_publish_duration_hist" &[100, 500, 1_000, 2_000, 5_000, 10_000, 50_000],
        /// How long a session was open, in seconds.
        sessions_lifetime_sec: "chat_sessions_lifetime_sec_hist" &[1, 10, 50, 100, 500, 1_000, 10_000],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_the_bound_belongs_below_it() {
        let histogram = Histogram::new(&[1, 5], STRIPES);
        for value in [0, 1, 2, 5, 6, 7] {
            histogram.record(value);
        }
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.counts, snapshot.sum), (vec![2, 2, 2], 21));
    }
}
