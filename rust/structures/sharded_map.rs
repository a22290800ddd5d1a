//! A hash map cut into shards, each behind a reader-writer lock of its own.
//!
//! # Idea
//!
//! A key's hash picks its shard; readers and writers of other shards never wait for it. Each lock sits on its own cache
//! line, so that a busy shard does not slow its neighbours. The hash is computed once and serves for the shard and
//! for the place in it.
//!
//! # Invariants
//!
//! - A key lives in exactly one shard, the one that bits 48.. of its hash name. hashbrown places by the low bits and
//!   tags by the top seven (57..), so the shard's bits are none of those and a shard's table stays well spread.
//! - What is decided under a shard's write lock (`get_or_try_insert_with`, `replace_if`, `remove_if`) is decided about
//!   the value that is in the map at that instant: nothing can be put into, or found in, a removed value's place in
//!   between.
//! - Values leave the map under the lock, but are dropped by the caller after it is released.
//!
//! # Orderings
//!
//! The locks' own acquire and release are all there is; there is no atomic beside them.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::sync::{RandomState, RwLock, unlock_fair};

/// How many keys `sweep` removes per hold of the write lock: about 10 us, so that senders do not feel it. A model needs
/// no more than two.
const SWEEP_STEP: usize = if cfg!(feature = "models") { 2 } else { 64 };

/// A shard's table of no more buckets is not worth a smaller one. A model's is, from very few.
const SMALL: usize = if cfg!(feature = "models") { 2 } else { 64 };

/// Shards are named by at most the nine hash bits between hashbrown's tag and the bits it places by.
const MAX_SHARDS: usize = 512;

type Shard<K, V> = CachePadded<RwLock<HashTable<(K, V)>>>;

/// See the module's text. Closures run under a shard's lock: they must be short and must not touch the same map.
pub struct ShardedMap<K, V, S = RandomState> {
    shards: Box<[Shard<K, V>]>,
    hasher: S,
}

impl<K: Hash + Eq, V> ShardedMap<K, V> {
    /// # Panics
    /// `shards` is not a power of two between 1 and 512.
    pub fn new(shards: usize) -> Self {
        Self::with_hasher(shards, RandomState::default())
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> ShardedMap<K, V, S> {
    /// # Panics
    /// `shards` is not a power of two between 1 and 512.
    pub fn with_hasher(shards: usize, hasher: S) -> Self {
        assert!(shards.is_power_of_two() && shards <= MAX_SHARDS, "shards: a power of two up to {MAX_SHARDS}");
        Self { shards: (0..shards).map(|_| CachePadded::new(RwLock::new(HashTable::new()))).collect(), hasher }
    }

    fn locate<Q: Hash + ?Sized>(&self, key: &Q) -> (u64, &Shard<K, V>) {
        let hash = self.hasher.hash_one(key);
        (hash, &self.shards[(hash >> 48) as usize & (self.shards.len() - 1)])
    }

    /// Calls `with` on the value under the shard's read lock.
    pub fn read<Q, R>(&self, key: &Q, with: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, shard) = self.locate(key);
        shard.read().find(hash, |(k, _)| k.borrow() == key).map(|(_, value)| with(value))
    }

    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// The key's value, made by `make` when missing: by one caller only, whoever else asks at the same time.
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V
    where
        V: Clone,
    {
        if let Some(value) = self.get(&key) {
            return value;
        }
        let Ok(value) = self.get_or_try_insert_with(key, || Ok::<_, std::convert::Infallible>(make()), V::clone);
        value
    }

    /// Calls `with` on the key's value, under the write lock; a missing value is made by `make` first, whose error
    /// leaves the map as it was. While `with` runs, the value cannot be removed.
    pub fn get_or_try_insert_with<E, R>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<V, E>,
        with: impl FnOnce(&V) -> R,
    ) -> Result<R, E> {
        let (hash, shard) = self.locate(&key);
        let mut table = shard.write();
        match table.entry(hash, |(k, _)| *k == key, |(k, _)| self.hasher.hash_one(k)) {
            Entry::Occupied(entry) => Ok(with(&entry.get().1)),
            Entry::Vacant(entry) => {
                let value = make()?;
                Ok(with(&entry.insert((key, value)).get().1))
            }
        }
    }

    /// Puts the value in, and returns the one it replaces.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let (hash, shard) = self.locate(&key);
        let mut table = shard.write();
        match table.entry(hash, |(k, _)| *k == key, |(k, _)| self.hasher.hash_one(k)) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(&mut entry.get_mut().1, value)),
            Entry::Vacant(entry) => {
                entry.insert((key, value));
                None
            }
        }
    }

    /// Puts the value in the place of the key's present one when `current` says so of that; asked under the write lock.
    /// Returns the value that has left: the replaced one, or as an error the new one.
    pub fn replace_if<Q>(&self, key: &Q, value: V, current: impl FnOnce(&V) -> bool) -> Result<V, V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, shard) = self.locate(key);
        match shard.write().find_mut(hash, |(k, _)| k.borrow() == key) {
            Some((_, present)) if current(present) => Ok(std::mem::replace(present, value)),
            _ => Err(value),
        }
    }

    /// Removes the key when `doomed` says so of its value; asked under the write lock.
    pub fn remove_if<Q>(&self, key: &Q, doomed: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, shard) = self.locate(key);
        // The guard must outlive neither the removed value's use nor, more important, its drop.
        let removed = {
            let mut table = shard.write();
            match table.find_entry(hash, |(k, _)| k.borrow() == key) {
                Ok(entry) if doomed(&entry.get().1) => Some(entry.remove().0),
                _ => None,
            }
        };
        removed.map(|(_, value)| value)
    }

    /// Removes what `doomed` names from one shard: looks under the read lock, then removes in small steps under the
    /// write lock, deciding each again. Returns what it removed.
    ///
    /// # Panics
    /// There is no such shard.
    pub fn sweep(&self, shard: usize, doomed: impl Fn(&K, &V) -> bool) -> Vec<(K, V)>
    where
        K: Clone,
    {
        let candidates = self.collect(shard, |k, v| doomed(k, v).then(|| k.clone()));
        let mut removed = Vec::with_capacity(candidates.len());
        for step in candidates.chunks(SWEEP_STEP) {
            let mut table = self.shards[shard].write();
            for key in step {
                if let Ok(entry) = table.find_entry(self.hasher.hash_one(key), |(k, _)| k == key)
                    && doomed(&entry.get().0, &entry.get().1)
                {
                    removed.push(entry.remove().0);
                }
            }
            // Taken again at once, the lock would hardly ever go to those who wait for it.
            unlock_fair(table);
        }
        self.shrink(shard);
        removed
    }

    /// Gives back the memory of a shard that once was large and is nearly empty now.
    ///
    /// Under the write lock the few entries move, each hashed anew, and the old table's tags are cleared, a byte a
    /// bucket; the tables are made and freed before and after. That is no more than the shard's last growth moved under
    /// it, and where nothing has come meanwhile, less than a third.
    ///
    /// # Panics
    /// There is no such shard.
    pub fn shrink(&self, shard: usize) {
        let shard = &self.shards[shard];
        let (len, buckets) = {
            let table = shard.read();
            (table.len(), table.num_buckets())
        };
        if buckets <= SMALL || len >= buckets / 8 {
            return;
        }
        let mut other = HashTable::with_capacity(2 * len);
        let mut table = shard.write();
        // More may have come meanwhile: it is for another time then.
        if table.len() <= other.capacity() {
            let hash = |(key, _): &(K, V)| self.hasher.hash_one(key);
            table.drain().for_each(|entry| _ = other.insert_unique(hash(&entry), entry, hash));
            std::mem::swap(&mut *table, &mut other);
        }
        drop(table);
    }

    /// What `pick` finds among one shard's entries, under its read lock.
    ///
    /// # Panics
    /// There is no such shard.
    pub fn collect<R>(&self, shard: usize, pick: impl Fn(&K, &V) -> Option<R>) -> Vec<R> {
        self.shards[shard].read().iter().filter_map(|(k, v)| pick(k, v)).collect()
    }

    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Entries a shard, each read at its own instant.
    pub fn shard_sizes(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.read().len()).collect()
    }

    /// The sum of `shard_sizes`: a gauge while others write.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
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
}
