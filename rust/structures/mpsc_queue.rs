//! A queue for many producers and one consumer that says when it is full instead of making anyone wait.
//!
//! # Idea
//!
//! crossbeam's segmented queue carries the values; a counter beside it carries the bound. A producer takes a place in
//! the counter first and gives it back when there was none, so the queue never holds more than the bound. The bound
//! comes with each push, because it may change while the queue lives: a smaller one keeps what is queued. A consumer
//! that needs its values a while longer takes them out (`take`) and gives their places back later (`release`), so that
//! one bound holds for what is queued and what is in its hands.
//!
//! # Invariants
//!
//! - `len` is at least the number of values that are queued or were taken and not released, so a push that found
//!   `len < bound` cannot break the bound.
//! - It may be more for an instant: between a producer's taking a place and its push, or its giving the place back. A
//!   producer may therefore be told "full" an instant too early; it is never told "accepted" too often (soft bound).
//! - Values of one producer come out in the order they went in.
//!
//! # Orderings
//!
//! The counter is relaxed: it decides only how many, never publishes a value. The handing over of values (release at
//! push, acquire at pop) is crossbeam's. Nothing may be concluded from `len` about what `pop` will find.

use crate::sync::{AtomicUsize, Ordering, SegQueue};

/// The queue had no place; the value comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// See the module's text. `pop` is for one consumer at a time: with more, each value still comes out once, but the
/// order that consumers see is no longer the queue's.
#[derive(Debug)]
pub struct MpscQueue<T> {
    values: SegQueue<T>,
    len: AtomicUsize,
}

impl<T> Default for MpscQueue<T> {
    fn default() -> Self {
        Self { values: SegQueue::new(), len: AtomicUsize::new(0) }
    }
}

impl<T> MpscQueue<T> {
    /// Appends the value unless `bound` values are queued already. Never blocks.
    pub fn push(&self, value: T, bound: usize) -> Result<(), Full<T>> {
        if self.len.fetch_add(1, Ordering::Relaxed) >= bound {
            self.len.fetch_sub(1, Ordering::Relaxed);
            return Err(Full(value));
        }
        self.values.push(value);
        Ok(())
    }

    /// The oldest value, if any.
    pub fn pop(&self) -> Option<T> {
        let value = self.take()?;
        self.release(1);
        Some(value)
    }

    /// The oldest value, if any. It keeps its place until `release`: for a consumer that is not done with it yet.
    pub fn take(&self) -> Option<T> {
        self.values.pop()
    }

    /// Gives back the places of this many taken values.
    pub fn release(&self, places: usize) {
        self.len.fetch_sub(places, Ordering::Relaxed);
    }

    /// Whether `pop` would have found nothing at some instant during the call.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many places are taken: a gauge.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_bounded_deque(ops in prop::collection::vec((0..5_u8, 0_usize..8), 0..200)) {
            let queue = MpscQueue::default();
            let (mut model, mut taken) = (VecDeque::new(), 0);
            for (number, (op, bound)) in ops.into_iter().enumerate() {
                match op {
                    0 | 1 => {
                        let fits = model.len() + taken < bound;
                        prop_assert_eq!(queue.push(number, bound), if fits { Ok(()) } else { Err(Full(number)) });
                        model.extend(fits.then_some(number));
                    }
                    2 => prop_assert_eq!(queue.pop(), model.pop_front()),
                    3 => {
                        taken += usize::from(!model.is_empty());
                        prop_assert_eq!(queue.take(), model.pop_front());
                    }
                    _ => queue.release(std::mem::take(&mut taken)),
                }
                prop_assert_eq!(queue.len(), model.len() + taken);
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }

    /// Four producers, one consumer: everything accepted comes out, each producer's values in order, never over the
    /// bound.
    #[test]
    fn loses_and_doubles_nothing_under_threads() {
        const PER_PRODUCER: usize = 50_000;
        const BOUND: usize = 100;
        let queue = MpscQueue::default();
        let mut received = [0_usize; 4];
        std::thread::scope(|scope| {
            for producer in 0..4 {
                let queue = &queue;
                scope.spawn(move || {
                    for number in 0..PER_PRODUCER {
                        while queue.push((producer, number), BOUND).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            while received.iter().sum::<usize>() < 4 * PER_PRODUCER {
                match queue.pop() {
                    Some((producer, number)) => {
                        assert_eq!(number, received[producer], "out of order");
                        received[producer] += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        assert!(queue.pop().is_none());
        assert_eq!(queue.len(), 0);
    }
}
