use std::future::poll_fn;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use pychat_core::hub::message::{Message, SharedMessage};
use pychat_core::hub::session::{Pushed, ReadError, Reader, Session};
use pychat_core::hub::settings::Settings;
use uuid::Uuid;

use crate::{both, check};

fn session() -> Arc<Session> {
    Arc::new(Session::new(Uuid::nil(), 0))
}

fn bounded(max_queue_size: usize) -> Settings {
    Settings { max_queue_size, ..Settings::default() }
}

fn message(number: usize) -> SharedMessage {
    Message::new("ann", &number.to_string(), 0)
}

fn push(session: &Session, number: usize, bound: usize) -> bool {
    session.push(&message(number), &bounded(bound)) == Pushed::Accepted
}

/// Gathers and commits; the numbers, and how many refusals were declared.
fn take(reader: &Reader, limit: usize) -> (Vec<usize>, usize) {
    let taken = reader.gather(limit);
    let mut numbers = Vec::new();
    reader.commit(&taken, |message| {
        let text: String = message.json().iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect();
        numbers.push(text.parse().unwrap());
    });
    (numbers, taken.refused)
}

/// Parks until there is something, as a poll does. Never woken, the model's threads all sleep, which loom reports.
fn wait(reader: &Reader) {
    block_on(poll_fn(|cx| reader.poll_something(cx)));
}

#[test]
fn a_parked_reader_hears_of_a_message() {
    check(|| {
        let session = session();
        let (read, pushed) = both(|| push(&session, 1, 1), {
            let reader = Arc::clone(&session).read(0).unwrap();
            move || {
                wait(&reader);
                take(&reader, 9)
            }
        });
        assert_eq!((read, pushed), ((vec![1], 0), true));
    });
}

#[test]
fn a_parked_reader_hears_of_a_refusal() {
    check(|| {
        let session = session();
        let (read, pushed) = both(|| push(&session, 1, 0), {
            let reader = Arc::clone(&session).read(0).unwrap();
            move || {
                wait(&reader);
                take(&reader, 9)
            }
        });
        assert_eq!((read, pushed), ((vec![], 1), false));
    });
}

#[test]
fn a_parked_reader_hears_of_the_close() {
    check(|| {
        let session = session();
        both(|| session.close(), {
            let reader = Arc::clone(&session).read(0).unwrap();
            move || {
                wait(&reader);
                assert!(reader.is_closed());
            }
        });
    });
}

/// The reader that goes away takes its waker with it, never the next one's.
#[test]
fn the_next_reader_is_woken_though_the_last_one_just_left() {
    check(|| {
        let session = session();
        let first = Arc::clone(&session).read(0).unwrap();
        let leaving = loom::thread::spawn(move || drop(first));
        both(|| assert!(push(&session, 1, 1)), {
            let session = Arc::clone(&session);
            move || {
                if let Ok(reader) = session.read(0) {
                    wait(&reader);
                    assert_eq!(take(&reader, 9), (vec![1], 0));
                }
            }
        });
        leaving.join().unwrap();
    });
}

#[test]
fn an_idle_session_is_closed_or_read() {
    check(|| {
        let session = session();
        let (read, closed) = both(|| session.close_if_idle(10, 10), {
            let session = Arc::clone(&session);
            move || session.read(10)
        });
        assert_eq!(read.err(), closed.then_some(ReadError::Gone));
    });
}

/// A poll may last longer than the idle time, and its session is as good as new when it ends.
#[test]
fn a_session_is_not_idle_while_it_is_read_nor_just_after() {
    check(|| {
        let session = session();
        let reader = Arc::clone(&session).read(0).unwrap();
        let (_, closed) = both(|| session.close_if_idle(10, 10), move || reader.finish(10));
        assert!(!closed);
    });
}

#[test]
fn one_close_of_several_counts() {
    check(|| {
        let session = session();
        let (idle, closed) = both(|| session.close(), {
            let session = Arc::clone(&session);
            move || session.close_if_idle(10, 10)
        });
        assert!(idle != closed);
        assert_eq!(session.push(&message(1), &bounded(1)), Pushed::Closed, "who sends hears that it is gone");
    });
}

#[test]
fn there_is_one_reader_at_a_time() {
    check(|| {
        let (session, readers) = (session(), Arc::new(AtomicUsize::new(0)));
        let read = || {
            let (session, readers) = (Arc::clone(&session), Arc::clone(&readers));
            move || {
                if let Ok(reader) = session.read(0) {
                    assert_eq!(readers.fetch_add(1, SeqCst), 0);
                    readers.fetch_sub(1, SeqCst);
                    reader.finish(0);
                }
            }
        };
        both(read(), read());
        assert!(session.read(0).is_ok());
    });
}

/// What a reader gathered and left counts against the bound, at every instant of its moving.
#[test]
fn the_bound_counts_what_is_queued_and_what_is_held() {
    check(|| {
        let session = session();
        assert!(push(&session, 1, 1));
        let (gathered, pushed) = both(|| push(&session, 2, 1), {
            let reader = Arc::clone(&session).read(0).unwrap();
            move || reader.gather(9).messages
        });
        assert_eq!((gathered, pushed), (1, false));
        assert_eq!(take(&session.read(0).unwrap(), 9), (vec![1], 1));
    });
}

/// Who receives a message has been told of what was refused before it.
#[test]
fn a_gap_is_declared_with_the_message_behind_it_at_the_latest() {
    check(|| {
        let session = session();
        assert!(push(&session, 0, 1));
        let reader = Arc::clone(&session).read(0).unwrap();
        let (read, _) =
            both(|| [push(&session, 1, 1), push(&session, 2, 1)], move || [take(&reader, 9), take(&reader, 9)]);
        let last = take(&session.read(0).unwrap(), 9);
        let (mut next, mut missing, mut declared) = (0, 0, 0);
        for (numbers, refused) in read.into_iter().chain([last]) {
            declared += refused;
            for number in numbers {
                missing += number - next;
                next = number + 1;
                assert!(missing <= declared, "{number} came before the gap was declared");
            }
        }
        assert_eq!(next + declared, 3 + missing, "each was delivered or declared");
    });
}

/// The bytes' bound is right again after refusals and commits.
#[test]
fn bytes_come_back() {
    check(|| {
        let session = session();
        let settings = Settings { max_queue_bytes: message(1).cost(), ..Settings::default() };
        both(|| session.push(&message(1), &settings), {
            let (session, settings) = (Arc::clone(&session), settings.clone());
            move || {
                session.push(&message(2), &settings);
                take(&Arc::clone(&session).read(0).unwrap(), 9)
            }
        });
        take(&Arc::clone(&session).read(0).unwrap(), 9);
        assert_eq!(session.push(&message(3), &settings), Pushed::Accepted);
        assert_eq!(session.push(&message(4), &settings), Pushed::Refused);
    });
}
