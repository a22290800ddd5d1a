//! What the concurrent code is built of, in one place, so that a model checker can put its own in.
//!
//! loom runs a model's threads in every order that matters, but sees only what happens to its own types. Under the
//! feature `models` the locks and atomics below are loom's and the lock-free parts are stand-ins (`sync/stand_ins.rs`)
//! with the same contract. So the models check what is ours, and trust what those crates promise.

pub use std::sync::atomic::Ordering;

#[cfg(not(feature = "models"))]
mod parts {
    pub use std::sync::atomic::{AtomicBool, AtomicUsize};

    pub use arc_swap::ArcSwap;
    pub use atomic_waker::AtomicWaker;
    pub use crossbeam_queue::SegQueue;
    pub use hashbrown::DefaultHashBuilder as RandomState;
    use parking_lot::RwLockWriteGuard;
    pub use parking_lot::{Mutex, RwLock};

    /// Hands the lock over to who waits for it longest.
    pub fn unlock_fair<T>(guard: RwLockWriteGuard<'_, T>) {
        RwLockWriteGuard::unlock_fair(guard);
    }

    /// An id that nobody can guess.
    pub fn random_id() -> uuid::Uuid {
        uuid::Uuid::new_v4()
    }
}

#[cfg(feature = "models")]
#[path = "sync/stand_ins.rs"]
mod parts;

pub use parts::*;
