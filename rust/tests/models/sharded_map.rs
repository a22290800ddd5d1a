use std::convert::Infallible;
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use pychat_core::structures::ShardedMap;

use crate::{both, check};

fn map<V>() -> Arc<ShardedMap<u8, V>> {
    Arc::new(ShardedMap::new(2))
}

#[test]
fn what_is_put_into_a_value_is_never_removed_with_it() {
    check(|| {
        let map = map::<AtomicUsize>();
        map.insert(1, AtomicUsize::new(0));
        both(|| map.remove_if(&1, |count| count.load(Relaxed) == 0), {
            let map = Arc::clone(&map);
            move || {
                let make = || Ok::<_, Infallible>(AtomicUsize::new(0));
                let Ok(_) = map.get_or_try_insert_with(1, make, |count| count.fetch_add(1, Relaxed));
            }
        });
        assert_eq!(map.read(&1, |count| count.load(Relaxed)), Some(1));
    });
}

#[test]
fn a_value_is_made_by_one_of_two_who_lack_it() {
    check(|| {
        let (map, made) = (map(), Arc::new(AtomicUsize::new(0)));
        let make = |name: &'static str| {
            let (map, made) = (Arc::clone(&map), Arc::clone(&made));
            move || {
                map.get_or_insert_with(1, || {
                    made.fetch_add(1, Relaxed);
                    name
                })
            }
        };
        let (there, here) = both(make("here"), make("there"));
        assert_eq!((here, made.load(Relaxed)), (there, 1));
    });
}

#[test]
fn of_two_replacements_of_one_value_one_succeeds() {
    check(|| {
        let map = map();
        map.insert(1, "old");
        let (there, here) = both(|| map.replace_if(&1, "here", |value| *value == "old"), {
            let map = Arc::clone(&map);
            move || map.replace_if(&1, "there", |value| *value == "old")
        });
        let expected = if here.is_ok() { (Ok("old"), Err("there"), "here") } else { (Err("here"), Ok("old"), "there") };
        assert_eq!((here, there, map.get(&1).unwrap()), expected);
    });
}

#[test]
fn of_two_conditional_removals_one_gets_the_value() {
    check(|| {
        let map = map();
        map.insert(1, "value");
        let (there, here) = both(|| map.remove_if(&1, |_| true), {
            let map = Arc::clone(&map);
            move || map.remove_if(&1, |_| true)
        });
        assert!(here.is_some() != there.is_some());
    });
}

/// Used and swept at the same time: who still found the value finds it again, and a value that is put into the place
/// of a swept one is not swept for it.
#[test]
fn a_sweep_decides_again_under_the_write_lock() {
    check(|| {
        let map = map::<AtomicBool>();
        for key in 0..3 {
            map.insert(key, AtomicBool::new(false));
        }
        let (swept, found) = both(|| map.read(&1, |used| used.store(true, Relaxed)).is_some(), {
            let map = Arc::clone(&map);
            move || (0..2).flat_map(|shard| map.sweep(shard, |_, used| !used.load(Relaxed))).count()
        });
        assert_eq!((map.read(&1, |_| ()).is_some(), swept), (found, if found { 2 } else { 3 }));
        assert_eq!(map.len(), usize::from(found));
    });
}

#[test]
fn what_is_put_in_while_a_shard_shrinks_is_there() {
    check(|| {
        let map = Arc::new(ShardedMap::new(1));
        (0..16).for_each(|key| _ = map.insert(key, ()));
        (1..16).for_each(|key| _ = map.remove_if(&key, |()| true));
        // All of them in between are more than the smaller table was made for.
        both(|| (16..19).for_each(|key| _ = map.insert(key, ())), {
            let map = Arc::clone(&map);
            move || map.shrink(0)
        });
        assert!([0, 16, 17, 18].iter().all(|key| map.get(key).is_some()));
        assert_eq!(map.len(), 4);
    });
}
