//! A queue for many producers and one consumer that says when it is full instead of making anyone wait.
//!
//! # Idea
//!
//! crossbeam's segmented queue carries the values; a counter beside it carries the bound. A producer takes a place in
//! the counter first and gives it back when there was none, so the queue never holds more than the bound. The bound
//! comes with each push, because it may change while the queue lives: a smaller one keeps what is queued.
//!
//! # Invariants
//!
//! - `len` is at least the number of values in the queue, so a push that found `len < bound` cannot break the bound.
//! - It may be more for an instant: between a producer's taking a place and its push, or its giving the place back. A
//!   producer may therefore be told "full" an instant too early; it is never told "accepted" too often (soft bound).
//! - Values of one producer come out in the order they went in.
//!
//! # Orderings
//!
//! The counter is relaxed: it decides only how many, never publishes a value. The handing over of values (release at
//! push, acquire at pop) is crossbeam's. Nothing may be concluded from `len` about what `pop` will find.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::SegQueue;

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
        let value = self.values.pop()?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(value)
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
        fn behaves_as_a_bounded_deque(ops in prop::collection::vec((any::<bool>(), 0_usize..8), 0..200)) {
            let queue = MpscQueue::default();
            let mut model = VecDeque::new();
            for (number, (push, bound)) in ops.into_iter().enumerate() {
                if push {
                    let expected = if model.len() < bound { model.push_back(number); Ok(()) } else { Err(Full(number)) };
                    prop_assert_eq!(queue.push(number, bound), expected);
                } else {
                    prop_assert_eq!(queue.pop(), model.pop_front());
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }

    /// Four producers, one consumer: everything accepted comes out, each producer's values in order, never over the bound.
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
