//! The primitives as loom sees them: each has the interface and the contract of the one it stands in for, as far as
//! this crate uses it, and is built of nothing but a loom mutex.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

pub use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

/// parking_lot's: no poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("loom does not poison")
    }
}

/// parking_lot's: no poisoning.
#[derive(Debug)]
pub struct RwLock<T>(loom::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::RwLock::new(value))
    }

    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect("loom does not poison")
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect("loom does not poison")
    }
}

/// Who waits longest is no matter to loom, which tries all.
pub fn unlock_fair<T>(guard: RwLockWriteGuard<'_, T>) {
    drop(guard);
}

/// crossbeam's.
#[derive(Debug)]
pub struct SegQueue<T>(Mutex<VecDeque<T>>);

impl<T> SegQueue<T> {
    pub fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub fn push(&self, value: T) {
        self.0.lock().push_back(value);
    }

    pub fn pop(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// arc-swap's. What was loaded stays as it was, whatever is stored later.
#[derive(Debug, Default)]
pub struct ArcSwap<T>(Mutex<Arc<T>>);

pub struct Guard<T>(Arc<T>);

impl<T> Deref for Guard<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.0
    }
}

impl<T> ArcSwap<T> {
    pub fn load(&self) -> Guard<T> {
        Guard(self.load_full())
    }

    pub fn load_full(&self) -> Arc<T> {
        Arc::clone(&self.0.lock())
    }

    pub fn store(&self, value: Arc<T>) {
        *self.0.lock() = value;
    }

    /// Stores `new` if `current` is still what is stored; returns what was.
    pub fn compare_and_swap(&self, current: &Arc<T>, new: Arc<T>) -> Guard<T> {
        let mut stored = self.0.lock();
        let previous = Arc::clone(&stored);
        if Arc::ptr_eq(&previous, current) {
            *stored = new;
        }
        Guard(previous)
    }
}

/// atomic-waker's.
#[derive(Debug, Default)]
pub struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn register(&self, waker: &Waker) {
        *self.0.lock() = Some(waker.clone());
    }

    pub fn take(&self) -> Option<Waker> {
        self.0.lock().take()
    }

    pub fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}

/// Without chance, for loom replays runs.
pub type RandomState = BuildHasherDefault<DefaultHasher>;

loom::lazy_static! {
    /// Without chance too: it begins anew with each run.
    static ref IDS: AtomicU64 = AtomicU64::new(1);
}

pub fn random_id() -> Uuid {
    Uuid::from_u128(IDS.fetch_add(1, Ordering::Relaxed).into())
}
