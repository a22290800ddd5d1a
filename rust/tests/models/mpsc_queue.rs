use std::sync::Arc;

use pychat_core::structures::MpscQueue;

use crate::{both, check};

#[test]
fn of_two_pushes_for_the_last_place_one_succeeds() {
    check(|| {
        let queue = Arc::new(MpscQueue::default());
        let (there, here) = both(|| queue.push("here", 1).is_ok(), {
            let queue = Arc::clone(&queue);
            move || queue.push("there", 1).is_ok()
        });
        assert!(here != there);
        assert_eq!(queue.pop(), Some(if here { "here" } else { "there" }));
        assert_eq!((queue.pop(), queue.len()), (None, 0));
    });
}

#[test]
fn what_is_taken_keeps_its_place_until_the_release() {
    check(|| {
        let queue = Arc::new(MpscQueue::default());
        queue.push(1, 1).unwrap();
        let (pushed, taken) = both(|| queue.take(), {
            let queue = Arc::clone(&queue);
            move || queue.push(2, 1).is_ok()
        });
        assert_eq!((pushed, taken), (false, Some(1)));
        queue.release(1);
        assert_eq!(queue.push(3, 1), Ok(()));
    });
}

#[test]
fn what_is_accepted_comes_out_once_in_its_producers_order_and_the_places_come_back() {
    check(|| {
        let queue = Arc::new(MpscQueue::default());
        let produce = |first: u8| {
            let queue = Arc::clone(&queue);
            move || [first, first + 1].into_iter().filter(|value| queue.push(*value, 2).is_ok()).collect::<Vec<_>>()
        };
        let other = loom::thread::spawn(produce(10));
        let (accepted, mut received) = both(|| Vec::from_iter([queue.pop(), queue.pop()]), produce(20));
        let accepted = [other.join().unwrap(), accepted].concat();
        received.extend(std::iter::repeat_with(|| queue.pop()).take(3));
        let mut received = Vec::from_iter(received.into_iter().flatten());
        assert_eq!(queue.len(), 0);
        for producer in [10, 20] {
            assert!(received.iter().filter(|value| *value / 10 * 10 == producer).is_sorted());
        }
        received.sort_unstable();
        assert_eq!(received, accepted);
    });
}
