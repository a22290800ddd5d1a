//! A small map that is read far more often than it is changed: read-copy-update behind arc-swap.
//!
//! # Idea
//!
//! The map is one sorted vector behind a pointer. Readers load the pointer and search; they never wait, and what they
//! loaded never changes under them. A writer copies the vector, changes the copy and swaps it in if the pointer is
//! still the one it copied from, else starts again. Meant for some tens of entries: a change costs a copy.
//!
//! # Invariants
//!
//! - A vector that has been published is never changed; it is sorted by key, each key once.
//! - Each change is decided on the very version it replaces (compare-and-swap), so none is lost: of two inserts at the
//!   bound one fails, of two removals of one key one returns it.
//!
//! # Orderings
//!
//! All arc-swap's: a load sees everything written before the swap that published what it loads. Guards are dropped
//! before the function returns, so none can live across an await.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::sync::ArcSwap;

#[derive(Debug, PartialEq, Eq)]
pub enum InsertError {
    /// The map holds as many entries as the bound allows.
    Full,
    /// The key is in the map.
    Exists,
}

/// See the module's text.
#[derive(Debug)]
pub struct RcuMap<K, V> {
    entries: ArcSwap<Vec<(K, V)>>,
}

impl<K, V> Default for RcuMap<K, V> {
    fn default() -> Self {
        Self { entries: ArcSwap::default() }
    }
}

impl<K: Ord + Clone, V: Clone> RcuMap<K, V> {
    /// The entries as they are now, sorted by key.
    pub fn snapshot(&self) -> Arc<Vec<(K, V)>> {
        self.entries.load_full()
    }

    /// Calls `with` on the entries as they are now, sorted by key, without touching their reference count.
    pub fn read<R>(&self, with: impl FnOnce(&[(K, V)]) -> R) -> R {
        with(&self.entries.load())
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.read(|entries| {
            let place = entries.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
            Some(entries[place].1.clone())
        })
    }

    /// Adds an entry, unless the map holds `bound` of them.
    pub fn insert(&self, key: K, value: V, bound: usize) -> Result<(), InsertError> {
        self.change(|entries| match entries.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(_) => Err(InsertError::Exists),
            Err(_) if entries.len() >= bound => Err(InsertError::Full),
            Err(place) => Ok((with_one_more(entries, place, (key.clone(), value.clone())), ())),
        })
    }

    pub fn remove<Q: Ord + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.change(|entries| {
            let place = entries.binary_search_by(|(k, _)| k.borrow().cmp(key))?;
            let mut next = Vec::with_capacity(entries.len() - 1);
            next.extend_from_slice(&entries[..place]);
            next.extend_from_slice(&entries[place + 1..]);
            Ok::<_, usize>((next, entries[place].1.clone()))
        })
        .ok()
    }

    /// Puts `next` in the place of the version that `current` is, unless another is in force by now; says whether it
    /// did. For changes that are decided outside; `next` must be sorted by key, each key once.
    pub fn replace(&self, current: &Arc<Vec<(K, V)>>, next: Vec<(K, V)>) -> bool {
        Arc::ptr_eq(&self.entries.compare_and_swap(current, Arc::new(next)), current)
    }

    pub fn len(&self) -> usize {
        self.read(<[_]>::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copy-and-swap until nobody else was faster.
    fn change<R, E>(&self, mut next: impl FnMut(&[(K, V)]) -> Result<(Vec<(K, V)>, R), E>) -> Result<R, E> {
        let mut current = self.entries.load();
        loop {
            let (replacement, result) = next(&current)?;
            let previous = self.entries.compare_and_swap(&*current, Arc::new(replacement));
            if Arc::ptr_eq(&previous, &current) {
                return Ok(result);
            }
            current = previous;
        }
    }
}

/// A copy of the entries with another at its place.
pub fn with_one_more<T: Clone>(entries: &[T], place: usize, entry: T) -> Vec<T> {
    let mut next = Vec::with_capacity(entries.len() + 1);
    next.extend_from_slice(&entries[..place]);
    next.push(entry);
    next.extend_from_slice(&entries[place..]);
    next
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_bounded_sorted_map(ops in prop::collection::vec((any::<bool>(), 0_u8..16, 0_usize..8), 0..200)) {
            let map = RcuMap::default();
            let mut model = BTreeMap::new();
            for (number, (insert, key, bound)) in ops.into_iter().enumerate() {
                if insert {
                    let expected = if model.contains_key(&key) {
                        Err(InsertError::Exists)
                    } else if model.len() >= bound {
                        Err(InsertError::Full)
                    } else {
                        model.insert(key, number);
                        Ok(())
                    };
                    prop_assert_eq!(map.insert(key, number, bound), expected);
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.get(&key), model.get(&key).copied());
                prop_assert_eq!(&*map.snapshot(), &model.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn replaces_only_the_version_that_was_read() {
        let map = RcuMap::default();
        let read = map.snapshot();
        assert_eq!(map.insert(1, "one", 2), Ok(()));
        assert!(!map.replace(&read, vec![(2, "two")]));
        assert!(map.replace(&map.snapshot(), vec![(3, "three")]));
        assert_eq!(*map.snapshot(), [(3, "three")]);
    }

    #[test]
    fn threads_never_break_the_bound_and_no_change_is_lost() {
        const BOUND: usize = 5;
        let map = RcuMap::default();
        let inserted = AtomicUsize::new(0);
        let removed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (map, inserted, removed) = (&map, &inserted, &removed);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let key = (thread + round) % 8;
                        if map.insert(key, (), BOUND).is_ok() {
                            inserted.fetch_add(1, Ordering::Relaxed);
                        }
                        assert!(map.len() <= BOUND);
                        if map.remove(&((key + 3) % 8)).is_some() {
                            removed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(inserted.into_inner() - removed.into_inner(), map.len());
    }
}
