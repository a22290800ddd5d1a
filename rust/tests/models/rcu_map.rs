use std::sync::Arc;

use pychat_core::structures::{InsertError, RcuMap};

use crate::{both, check};

#[test]
fn of_two_inserts_at_the_bound_one_succeeds() {
    check(|| {
        let map = Arc::new(RcuMap::default());
        map.insert(0, "old", 2).unwrap();
        let (there, here) = both(|| map.insert(1, "here", 2), {
            let map = Arc::clone(&map);
            move || map.insert(2, "there", 2)
        });
        assert!(matches!((here, there), (Ok(()), Err(InsertError::Full)) | (Err(InsertError::Full), Ok(()))));
        assert_eq!(map.len(), 2);
    });
}

#[test]
fn of_two_inserts_of_one_key_the_first_stays() {
    check(|| {
        let map = Arc::new(RcuMap::default());
        let (there, here) = both(|| map.insert(1, "here", 2), {
            let map = Arc::clone(&map);
            move || map.insert(1, "there", 2)
        });
        assert!(here.is_ok() != there.is_ok());
        assert_eq!(*map.snapshot(), [(1, if here.is_ok() { "here" } else { "there" })]);
    });
}

#[test]
fn of_two_removals_one_gets_the_value() {
    check(|| {
        let map = Arc::new(RcuMap::default());
        map.insert(1, "value", 1).unwrap();
        let (there, here) = both(|| map.remove(&1), {
            let map = Arc::clone(&map);
            move || map.remove(&1)
        });
        assert!(here.is_some() != there.is_some());
        assert!(map.is_empty());
    });
}

#[test]
fn what_was_decided_outside_does_not_replace_a_later_version() {
    check(|| {
        let map = Arc::new(RcuMap::default());
        map.insert(1, (), 9).unwrap();
        let (_, replaced) = both(
            || {
                let read = map.snapshot();
                let without = read.iter().filter(|(key, _)| *key != 1).copied().collect();
                map.replace(&read, without)
            },
            {
                let map = Arc::clone(&map);
                move || map.insert(2, (), 9).unwrap()
            },
        );
        assert!(map.get(&2).is_some());
        assert_eq!(map.get(&1).is_none(), replaced);
    });
}

#[test]
fn no_change_is_lost_and_a_snapshot_stays_as_it_was() {
    check(|| {
        let map = Arc::new(RcuMap::default());
        map.insert(1, (), 9).unwrap();
        let reader = loom::thread::spawn({
            let map = Arc::clone(&map);
            move || {
                let snapshot = map.snapshot();
                (snapshot.to_vec(), snapshot)
            }
        });
        both(|| map.insert(2, (), 9).unwrap(), {
            let map = Arc::clone(&map);
            move || map.remove(&1).unwrap()
        });
        let (seen, snapshot) = reader.join().unwrap();
        assert!(seen.is_sorted());
        assert_eq!(*snapshot, seen);
        assert_eq!(*map.snapshot(), [(2, ())]);
    });
}
