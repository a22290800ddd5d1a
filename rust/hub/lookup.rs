//! A bounded cache that asks the loader for what it lacks, once however many want it.
//!
//! # Idea
//!
//! What is known is in a sharded cache that forgets the least useful entries. What is not becomes a *flight*: the first
//! to ask registers the key, later ones join, and the loader takes keys by the batch and answers them all. "There is no
//! such thing" is remembered too, for a short while.
//!
//! # Invariants
//!
//! - An answer is stored only while its flight still stands, and under the same lock. `put` (somebody committed a
//!   change) ends the flight, so an answer read from the database before the change cannot replace the newer value.
//! - Whoever waits is always answered: by the batch, by `put`, or by the failure of the batch.
//!
//! # Orderings
//!
//! All is decided under one small lock beside the cache's own; nobody is answered, and the loader not told, before it
//! is free again. The loader is told after the flight stands, so a `take` that was told finds it.

use std::hash::Hash;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use super::Micros;

/// The database could not be asked, or too many are waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

pub type Found<V> = Result<Option<V>, Unavailable>;

/// How long "there is no such thing" is believed. Changes made by this process end it at once, so this only bounds how
/// long a change made behind its back goes unseen; it keeps a client that asks for nonsense off the database.
const ABSENT_FOR: Micros = 2_000_000;

/// Requests that may wait for answers at a time, per kind of key: some 10 MB of parked requests. More are refused.
const MAX_WAITING: usize = 10_000;

#[derive(Clone)]
pub(super) enum Known<V> {
    Present(V),
    AbsentUntil(Micros),
}

pub(super) struct Lookup<K, V, W> {
    known: Cache<K, Known<V>, W>,
    flights: Mutex<Flights<K, V>>,
}

struct Flights<K, V> {
    by_key: HashMap<K, Flight<V>>,
    waiting: usize,
}

struct Flight<V> {
    /// The batch that asks for it, once the loader has taken it.
    batch: Option<u64>,
    waiters: Vec<oneshot::Sender<Found<V>>>,
}

/// A value at hand, or one to wait for.
pub(super) enum Asked<V> {
    Known(Option<V>),
    Waiting(oneshot::Receiver<Found<V>>),
}

impl<K: Hash + Eq + Clone, V: Clone, W: Weighter<K, Known<V>> + Clone> Lookup<K, V, W> {
    /// `items`: how many are expected; `weight`: how much they may weigh together, by `weighter`.
    pub fn new(items: usize, weight: u64, weighter: W) -> Self {
        let flights = Flights { by_key: HashMap::new(), waiting: 0 };
        Self { known: Cache::with_weighter(items, weight, weighter), flights: Mutex::new(flights) }
    }

    /// What is known of the key: `None` nothing, `Some(None)` that it does not exist.
    pub fn known<Q>(&self, key: &Q, now: Micros) -> Option<Option<V>>
    where
        Q: Hash + quick_cache::Equivalent<K> + ?Sized,
    {
        match self.known.get(key)? {
            Known::Present(value) => Some(Some(value)),
            Known::AbsentUntil(until) => (now < until).then_some(None),
        }
    }

    /// Joins or begins the key's flight. `begun` is called when there is something new for the loader.
    pub fn ask(&self, key: K, now: Micros, begun: impl FnOnce()) -> Result<Asked<V>, Unavailable> {
        let (answer, waiting) = oneshot::channel();
        let mut flights = self.flights.lock();
        // Again under the lock: the flight that we missed may just have landed.
        if let Some(known) = self.known(&key, now) {
            return Ok(Asked::Known(known));
        }
        if flights.waiting >= MAX_WAITING {
            return Err(Unavailable);
        }
        flights.waiting += 1;
        match flights.by_key.entry(key) {
            Entry::Occupied(mut flight) => flight.get_mut().waiters.push(answer),
            Entry::Vacant(place) => {
                place.insert(Flight { batch: None, waiters: vec![answer] });
                drop(flights);
                begun();
            }
        }
        Ok(Asked::Waiting(waiting))
    }

    /// Keys that no batch asks for yet, at most `limit`; they are `batch`'s from now on.
    pub fn take(&self, batch: u64, limit: usize) -> Vec<K> {
        let mut flights = self.flights.lock();
        let mut keys = Vec::new();
        for (key, flight) in flights.by_key.iter_mut().filter(|(_, flight)| flight.batch.is_none()).take(limit) {
            flight.batch = Some(batch);
            keys.push(key.clone());
        }
        keys
    }

    /// Answers all flights of a batch: with the value that `answer` finds for the key, or that there is none.
    pub fn land(&self, batch: u64, now: Micros, mut answer: impl FnMut(&K) -> Found<V>) {
        let mut answers = Vec::new();
        {
            let mut flights = self.flights.lock();
            let landed: Vec<_> = flights.by_key.extract_if(|_, flight| flight.batch == Some(batch)).collect();
            for (key, flight) in landed {
                let found = answer(&key);
                match &found {
                    Ok(Some(value)) => self.known.insert(key, Known::Present(value.clone())),
                    Ok(None) => self.known.insert(key, Known::AbsentUntil(now + ABSENT_FOR)),
                    Err(Unavailable) => {}
                }
                flights.waiting -= flight.waiters.len();
                answers.push((flight, found));
            }
        }
        for (flight, found) in answers {
            flight.answer(&found);
        }
    }

    /// Stores a committed value, unless `keep` prefers the one that is known.
    pub fn put(&self, key: K, value: V, keep: impl FnOnce(&V) -> bool) {
        let flight = {
            let mut flights = self.flights.lock();
            if let Some(Known::Present(known)) = self.known.peek(&key)
                && keep(&known)
            {
                return;
            }
            let flight = flights.by_key.remove(&key);
            flights.waiting -= flight.as_ref().map_or(0, |flight| flight.waiters.len());
            self.known.insert(key, Known::Present(value.clone()));
            flight
        };
        if let Some(flight) = flight {
            flight.answer(&Ok(Some(value)));
        }
    }

    /// Forgets the key, so that the next to ask has it loaded; a flight under way is asked for anew. `begun` is called
    /// when there is one.
    pub fn forget<Q>(&self, key: &Q, begun: impl FnOnce())
    where
        Q: Hash + quick_cache::Equivalent<K> + ?Sized,
    {
        let mut flights = self.flights.lock();
        self.known.remove(key);
        if let Some(flight) = flights.by_key.get_mut(key) {
            flight.batch = None;
            drop(flights);
            begun();
        }
    }
}

impl<V: Clone> Flight<V> {
    fn answer(self, found: &Found<V>) {
        for waiter in self.waiters {
            // One that no longer waits has dropped its end.
            let _ = waiter.send(found.clone());
        }
    }
}

#[cfg(test)]
impl<K, V, W> Lookup<K, V, W> {
    pub fn waiting(&self) -> usize {
        self.flights.lock().waiting
    }

    pub fn is_locked(&self) -> bool {
        self.flights.is_locked()
    }
}
