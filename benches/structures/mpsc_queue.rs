//! `MpscQueue` against tokio's and the standard library's channels. Nobody blocks: a producer that finds no place and a
//! consumer that finds nothing try again. The clock stops when everything has come out.

use std::hint::black_box;
use std::sync::{Arc, mpsc as std_mpsc};

use criterion::Criterion;
use crossbeam_utils::Backoff;
use pychat_core::structures::MpscQueue;
use tokio::sync::mpsc as tokio_mpsc;

use crate::contention::{contended, together};

/// A session's default.
const BOUND: usize = 1_000;

/// False when there is no place.
type Push = Box<dyn FnMut(u64) -> bool + Send>;
type Pop = Box<dyn FnMut() -> Option<u64> + Send>;
/// A new queue's ends: those of two producers, and the consumer's.
type Ends = ([Push; 2], Pop);
/// A name, and how to make one.
type Queue = (&'static str, fn() -> Ends);

fn ends<P: FnMut(u64) -> bool + Send + 'static>(
    push: [P; 2],
    pop: impl FnMut() -> Option<u64> + Send + 'static,
) -> Ends {
    (push.map(|push| Box::new(push) as Push), Box::new(pop))
}

const QUEUES: [Queue; 5] = [
    ("MpscQueue", || {
        let queue = Arc::new(MpscQueue::default());
        let push = [Arc::clone(&queue), Arc::clone(&queue)].map(|queue| move |value| queue.push(value, BOUND).is_ok());
        ends(push, move || queue.pop())
    }),
    ("tokio::sync::mpsc::channel", || {
        let (sender, mut receiver) = tokio_mpsc::channel(BOUND);
        let push = [sender.clone(), sender].map(|sender| move |value| sender.try_send(value).is_ok());
        ends(push, move || receiver.try_recv().ok())
    }),
    ("tokio::sync::mpsc::unbounded_channel", || {
        let (sender, mut receiver) = tokio_mpsc::unbounded_channel();
        let push = [sender.clone(), sender].map(|sender| move |value| sender.send(value).is_ok());
        ends(push, move || receiver.try_recv().ok())
    }),
    ("std::sync::mpsc::sync_channel", || {
        let (sender, receiver) = std_mpsc::sync_channel(BOUND);
        let push = [sender.clone(), sender].map(|sender| move |value| sender.try_send(value).is_ok());
        ends(push, move || receiver.try_recv().ok())
    }),
    ("std::sync::mpsc::channel", || {
        let (sender, receiver) = std_mpsc::channel();
        let push = [sender.clone(), sender].map(|sender| move |value| sender.send(value).is_ok());
        ends(push, move || receiver.try_recv().ok())
    }),
];

fn produce(push: &mut Push, values: u64) {
    for value in 0..values {
        let backoff = Backoff::new();
        while !push(value) {
            backoff.snooze();
        }
    }
}

fn consume(pop: &mut Pop, values: u64) {
    for _ in 0..values {
        let backoff = Backoff::new();
        while black_box(pop()).is_none() {
            backoff.snooze();
        }
    }
}

pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("MpscQueue: push, then pop, quiet");
    for (name, make) in QUEUES {
        let ([mut push, _other], mut pop) = make();
        group.bench_function(name, |bencher| bencher.iter(|| (push(1), pop())));
    }
    group.finish();

    let mut group = contended(criterion, "MpscQueue: a producer and the consumer");
    for (name, make) in QUEUES {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|values| {
                let ([mut push, _other], mut pop) = make();
                together(move || produce(&mut push, values), move || consume(&mut pop, values))
            });
        });
    }
    group.finish();

    let mut group = contended(criterion, "MpscQueue: a producer, and one who also consumes");
    for (name, make) in QUEUES {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|values| {
                let ([mut push, mut other], mut pop) = make();
                let turns = move || {
                    let mut left = 2 * values;
                    for value in 0..values {
                        // Nobody else makes room.
                        while !other(value) {
                            consume(&mut pop, 1);
                            left -= 1;
                        }
                    }
                    consume(&mut pop, left);
                };
                together(move || produce(&mut push, values), turns)
            });
        });
    }
    group.finish();
}
