use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(u8, u32),
    GetOrInsert(u8, u32),
    ReplaceIfEven(u8, u32),
    RemoveIfEven(u8),
    SweepBelow(u32),
    Get(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (any::<u8>(), any::<u32>()).prop_map(|(k, v)| Op::Insert(k, v)),
        (any::<u8>(), any::<u32>()).prop_map(|(k, v)| Op::GetOrInsert(k, v)),
        (any::<u8>(), any::<u32>()).prop_map(|(k, v)| Op::ReplaceIfEven(k, v)),
        any::<u8>().prop_map(Op::RemoveIfEven),
        any::<u32>().prop_map(Op::SweepBelow),
        any::<u8>().prop_map(Op::Get),
    ]
}

proptest! {
    #[test]
    fn behaves_as_a_plain_map(ops in prop::collection::vec(op(), 0..200)) {
        let map = ShardedMap::new(4);
        let mut model = HashMap::new();
        for op in ops {
            match op {
                Op::Insert(k, v) => prop_assert_eq!(map.insert(k, v), model.insert(k, v)),
                Op::GetOrInsert(k, v) => {
                    prop_assert_eq!(map.get_or_insert_with(k, || v), *model.entry(k).or_insert(v));
                }
                Op::ReplaceIfEven(k, v) => {
                    let expected = match model.get_mut(&k) {
                        Some(present) if *present % 2 == 0 => Ok(std::mem::replace(present, v)),
                        _ => Err(v),
                    };
                    prop_assert_eq!(map.replace_if(&k, v, |present| present % 2 == 0), expected);
                }
                Op::RemoveIfEven(k) => {
                    let expected = model.get(&k).copied().filter(|v| v % 2 == 0);
                    if expected.is_some() {
                        model.remove(&k);
                    }
                    prop_assert_eq!(map.remove_if(&k, |v| v % 2 == 0), expected);
                }
                Op::SweepBelow(bound) => {
                    let swept: usize = (0..4).map(|s| map.sweep(s, |_, v| *v < bound).len()).sum();
                    let before = model.len();
                    model.retain(|_, v| *v >= bound);
                    prop_assert_eq!(swept, before - model.len());
                }
                Op::Get(k) => prop_assert_eq!(map.get(&k), model.get(&k).copied()),
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.shard_sizes().iter().sum::<usize>(), model.len());
        }
    }
}

#[test]
fn a_missing_value_is_made_once_by_many_threads() {
    let map = ShardedMap::new(2);
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for key in 0..1_000_u32 {
                    map.get_or_insert_with(key, || made.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
    });
    assert_eq!(made.load(Ordering::Relaxed), 1_000);
}

#[test]
fn a_shard_shrinks_when_it_is_nearly_empty_and_keeps_what_is_left() {
    let map = ShardedMap::new(1);
    (0..10_000).for_each(|key| _ = map.insert(key, key));
    let buckets = || map.shards[0].read().num_buckets();
    let full = buckets();
    assert_eq!(map.sweep(0, |_, value| *value >= 5_000).len(), 5_000);
    assert_eq!(buckets(), full, "half of it may soon be there again");
    assert_eq!(map.sweep(0, |_, value| *value >= 100).len(), 4_900);
    assert!((100..=400).contains(&buckets()));
    assert!((0..100).all(|key| map.get(&key) == Some(key)) && map.len() == 100);
    assert_eq!(map.sweep(0, |_, _| true).len(), 100);
    assert!(buckets() <= 1);
}

#[test]
fn a_refused_insert_leaves_nothing() {
    let map: ShardedMap<u8, u8> = ShardedMap::new(1);
    assert_eq!(map.get_or_try_insert_with(1, || Err("no"), |v| *v), Err("no"));
    assert!(map.is_empty());
}

#[test]
#[should_panic(expected = "power of two")]
fn refuses_a_shard_count_that_is_no_power_of_two() {
    ShardedMap::<u8, u8>::new(3);
}
