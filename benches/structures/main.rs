//! What the structures cost, quiet (one thread) and contended (two threads), beside what one would use instead:
//!
//!     cargo bench --bench structures
//!
//! `python -m benches structures` runs it and prints the ratios.

mod contention;
mod mpsc_queue;
mod rcu_map;
mod sharded_map;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = structures;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = sharded_map::benches, mpsc_queue::benches, rcu_map::benches
}
criterion_main!(structures);
