//! `RcuMap` against a sorted vector behind a reader-writer lock, the standard library's and parking_lot's.

use std::sync::RwLock;

use criterion::Criterion;
use pychat_core::structures::RcuMap;

use crate::contention::measure;

/// A user's sessions, say.
const ENTRIES: u64 = 5;

/// One in so many operations of the mixed load writes.
const WRITE_EVERY: u64 = 1_000;

fn find(entries: &[(u64, u64)], number: u64) -> Option<u64> {
    let place = entries.binary_search_by_key(&(number % ENTRIES), |(key, _)| *key).ok()?;
    Some(entries[place].1)
}

/// Adds an entry behind the others, or removes it.
fn toggle(entries: &mut Vec<(u64, u64)>) -> Option<u64> {
    let removed = entries.pop_if(|(key, _)| *key == ENTRIES);
    if removed.is_none() {
        entries.push((ENTRIES, 0));
    }
    removed.map(|(_, value)| value)
}

pub fn benches(criterion: &mut Criterion) {
    let ours = RcuMap::default();
    (0..ENTRIES).for_each(|key| ours.insert(key, key, usize::MAX).expect("the key is new"));
    let std = RwLock::new(ours.snapshot().to_vec());
    let parking_lot = parking_lot::RwLock::new(ours.snapshot().to_vec());

    let ends = |entries: &[(u64, u64)]| Some(entries.first()?.1 ^ entries.last()?.1);
    measure(
        criterion,
        "RcuMap: reads",
        &[
            ("RcuMap", &|_| ours.read(ends)),
            ("RwLock<Vec>", &|_| ends(&std.read().expect("nobody panics"))),
            ("parking_lot::RwLock<Vec>", &|_| ends(&parking_lot.read())),
        ],
    );

    let read_ours = |number| ours.read(|entries| find(entries, number));
    let read_std = |number| find(&std.read().expect("nobody panics"), number);
    let read_parking_lot = |number| find(&parking_lot.read(), number);
    measure(
        criterion,
        "RcuMap: binary searches",
        &[("RcuMap", &read_ours), ("RwLock<Vec>", &read_std), ("parking_lot::RwLock<Vec>", &read_parking_lot)],
    );

    let writes = |number: u64| number.is_multiple_of(WRITE_EVERY);
    measure(
        criterion,
        "RcuMap: binary searches, a thousandth writes",
        &[
            ("RcuMap", &|number| {
                if !writes(number) {
                    return read_ours(number);
                }
                let removed = ours.remove(&ENTRIES);
                if removed.is_none() {
                    // The other thread may have been faster; this write then changes nothing, but has cost as much.
                    let _ = ours.insert(ENTRIES, 0, usize::MAX);
                }
                removed
            }),
            ("RwLock<Vec>", &|number| {
                if writes(number) { toggle(&mut std.write().expect("nobody panics")) } else { read_std(number) }
            }),
            ("parking_lot::RwLock<Vec>", &|number| {
                if writes(number) { toggle(&mut parking_lot.write()) } else { read_parking_lot(number) }
            }),
        ],
    );
}
