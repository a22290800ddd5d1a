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
mod tests;
