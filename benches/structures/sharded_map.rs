//! `ShardedMap` against dashmap with the same hash and number of shards, and against one map behind a mutex.

use criterion::Criterion;
use dashmap::DashMap;
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;
use pychat_core::structures::ShardedMap;

use crate::contention::measure;

const KEYS: u64 = 100_000;
const SHARDS: usize = 64;

/// One in so many operations of the mixed load writes.
const WRITE_EVERY: u64 = 20;

/// Keys in an order that a cache can't foresee.
fn key(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS
}

pub fn benches(criterion: &mut Criterion) {
    let ours = ShardedMap::with_hasher(SHARDS, DefaultHashBuilder::default());
    let dashmap = DashMap::with_hasher_and_shard_amount(DefaultHashBuilder::default(), SHARDS);
    let mutex = Mutex::new(HashMap::new());
    for key in 0..KEYS {
        ours.insert(key, key);
        dashmap.insert(key, key);
        mutex.lock().insert(key, key);
    }

    let read_ours = |number| ours.get(&key(number));
    let read_dashmap = |number| dashmap.get(&key(number)).map(|value| *value);
    let read_mutex = |number| mutex.lock().get(&key(number)).copied();
    measure(
        criterion,
        "ShardedMap: reads",
        &[("ShardedMap", &read_ours), ("dashmap", &read_dashmap), ("Mutex<HashMap>", &read_mutex)],
    );

    measure(
        criterion,
        "ShardedMap: reads of one key",
        &[
            ("ShardedMap", &|_| ours.get(&1)),
            ("dashmap", &|_| dashmap.get(&1).map(|value| *value)),
            ("Mutex<HashMap>", &|_| mutex.lock().get(&1).copied()),
        ],
    );

    let writes = |number: u64| number.is_multiple_of(WRITE_EVERY);
    measure(
        criterion,
        "ShardedMap: reads, a twentieth writes",
        &[
            ("ShardedMap", &|number| {
                if writes(number) { ours.insert(key(number), number) } else { read_ours(number) }
            }),
            ("dashmap", &|number| {
                if writes(number) { dashmap.insert(key(number), number) } else { read_dashmap(number) }
            }),
            ("Mutex<HashMap>", &|number| {
                if writes(number) { mutex.lock().insert(key(number), number) } else { read_mutex(number) }
            }),
        ],
    );
}
