//! The structures as Python classes, which hold any Python objects. Documented in `pychat/structures.pyi`; what is said
//! of a class here is the same text, so that `help` has it.
//!
//! # Idea
//!
//! Python code may run wherever an object is hashed, compared or dropped, and may call the same structure again or let
//! other threads run. So none of that happens under a lock: a key is hashed before, the entries of that hash are taken
//! out as an immutable copy and compared after, and a change is put in only if that copy is still the one in force,
//! else decided again. What leaves a structure is dropped when its lock is free.
//!
//! # Invariants
//!
//! - Under a lock nothing of Python's is called or dropped: references are moved and counted up, no more. Who holds one
//!   therefore never gives the GIL away nor waits for it, so whoever has the GIL may wait for the lock.
//! - An `Arc` of entries lives only in its structure and on the stack of a call to it, which keeps the structure itself
//!   alive: so the garbage collector, which finds each object once through the structure, never counts one as
//!   unreachable that is not. What is handed to Python holds references of its own.

mod entry;
mod mapping;
mod mpsc_queue;
mod rcu_map;
mod sharded_map;
mod wait;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

pub use mpsc_queue::MpscQueue;
pub use rcu_map::RcuMap;
pub use sharded_map::ShardedMap;

create_exception!(pychat.structures, Full, PyException, "The structure holds as much as its bound allows.");

/// A bound as Python gave it.
fn bound(given: &Bound<'_, PyAny>) -> PyResult<usize> {
    let bound = usize::try_from(given.extract::<isize>()?).ok().filter(|bound| *bound > 0);
    bound.ok_or_else(|| PyValueError::new_err("bound must be at least 1"))
}
