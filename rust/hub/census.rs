//! What there is now, as opposed to what has happened (`stats`): counted when the monitor asks.
//!
//! Shard by shard, each held for as long as it takes to copy its `Arc`s, and looked at after that: a census of many
//! sessions slows nobody, and is of no single instant.

use super::Hub;
use super::stats::{Histogram, HistogramSnapshot, Metric};

const SHARD_SIZES: &[u64] = &[1, 10, 100, 500, 1_000, 10_000];

impl Hub {
    /// Gauges that nobody keeps.
    pub fn sizes(&self) -> Vec<Metric<u64>> {
        let size = |name, help, value| Metric { name, help, value: value as u64 };
        vec![
            size("chat_mailbox_opened_current", "Users online: those who have a mailbox.", self.online()),
            size("chat_limiter_opened_current", "Senders who have a token bucket.", self.limiter.bucket_count()),
            size("chat_journal_pending_current", "Messages accepted and not yet stored.", self.journal.pending()),
        ]
    }

    /// Histograms of what there is, so that they shrink as well.
    pub fn census(&self) -> Vec<Metric<HistogramSnapshot>> {
        let per_user = Histogram::new(&[1, 2, 3, 4, 5], 1);
        let queue_size = Histogram::new(&[1, 5, 10, 25, 50, 100, 500, 1_000], 1);
        for shard in 0..self.shard_count() {
            for (_, mailbox) in self.mailboxes_in(shard) {
                let sessions = mailbox.for_each(|session| queue_size.record(session.waiting() as u64));
                // One without any is about to be removed.
                if sessions > 0 {
                    per_user.record(sessions as u64);
                }
            }
        }
        let shard_sizes = |sizes: Vec<usize>| {
            let histogram = Histogram::new(SHARD_SIZES, 1);
            sizes.iter().for_each(|size| histogram.record(*size as u64));
            histogram
        };
        let mailboxes = shard_sizes(self.mailboxes.shard_sizes());
        let buckets = shard_sizes(self.limiter.shard_sizes());
        let now = |name, help, histogram: &Histogram| Metric { name, help, value: histogram.snapshot() };
        vec![
            now("chat_sessions_per_user_hist", "Sessions that each user online has now.", &per_user),
            now("chat_sessions_queue_size_hist", "Messages that wait in each session now.", &queue_size),
            now("chat_mailbox_shards_size_hist", "Mailboxes in each shard of their map now.", &mailboxes),
            now("chat_limiter_shards_size_hist", "Token buckets in each shard of their map now.", &buckets),
        ]
    }
}
