//! Senders, the writer, and a journal that is closed meanwhile: the writer is woken for all that gathers, everyone who
//! was accepted is answered once, and a client id is one message however its repeat falls.

use std::future::poll_fn;
use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use pychat_core::hub::Hub;
use pychat_core::hub::journal::{Accepted, Outcome, Post, Recipients, Refused};
use pychat_core::hub::message::Message;

use crate::check;

fn post(client_id: Option<&str>) -> Post {
    Post {
        is_stored: true,
        sender: 1,
        chat: 1,
        to: Recipients::One(2),
        text: "hi".into(),
        message: Message::new("ann", "hi", 0),
        client_id: client_id.map(Arc::from),
    }
}

fn accept(hub: &Hub, client_id: Option<&str>) -> Result<Accepted, Refused> {
    hub.journal.accept(post(client_id), 10, 0)
}

/// Takes and commits `count` messages.
fn write(hub: &Hub, count: usize) {
    let mut written = 0;
    while written < count {
        let batch = block_on(poll_fn(|cx| hub.journal.poll_batch(cx, 0)));
        written += batch.len();
        block_on(hub.publish(batch, 0));
    }
}

fn outcome(accepted: Accepted) -> Outcome {
    match accepted {
        Accepted::Repeated(id) => Outcome::Repeated(id),
        Accepted::Waiting(mut waiting) | Accepted::Repeating(mut waiting) => waiting.try_recv().expect("answered"),
    }
}

#[test]
fn the_writer_sleeps_on_nothing_that_gathers() {
    check(|| {
        let hub = Arc::new(Hub::default());
        hub.journal.open(0);
        let other = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || accept(&hub, None).unwrap())
        };
        let writer = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || write(&hub, 2))
        };
        let accepted = [accept(&hub, None).unwrap(), other.join().unwrap()];
        writer.join().unwrap();
        let mut ids = accepted.map(|accepted| match outcome(accepted) {
            Outcome::Committed { id, .. } => id,
            other => panic!("{other:?}"),
        });
        ids.sort_unstable();
        assert_eq!((ids, hub.journal.pending()), ([1, 2], 0));
    });
}

#[test]
fn a_repeat_finds_the_first_whenever_it_comes() {
    check(|| {
        let hub = Arc::new(Hub::default());
        hub.journal.open(0);
        let first = accept(&hub, Some("a")).unwrap();
        let writer = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || write(&hub, 1))
        };
        let again = accept(&hub, Some("a")).unwrap();
        writer.join().unwrap();
        assert!(matches!(outcome(first), Outcome::Committed { id: 1, .. }));
        assert_eq!((outcome(again), hub.journal.pending()), (Outcome::Repeated(1), 0));
    });
}

#[test]
fn a_repeat_never_takes_the_place_of_one_in_doubt() {
    check(|| {
        let hub = Arc::new(Hub::default());
        hub.journal.open(0);
        let first = accept(&hub, Some("a")).unwrap();
        let writer = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || {
                let mut batch = block_on(poll_fn(|cx| hub.journal.poll_batch(cx, 0)));
                hub.doubt(&mut batch, 0);
                hub.journal.close();
                block_on(hub.publish(batch, 0));
            })
        };
        let again = accept(&hub, Some("a"));
        writer.join().unwrap();
        assert_eq!(outcome(first), Outcome::Unknown);
        match again {
            Ok(accepted) => assert!(matches!(outcome(accepted), Outcome::Unknown | Outcome::Repeated(1))),
            Err(refused) => assert_eq!(refused, Refused::Doubted),
        }
        assert_eq!(hub.journal.pending(), 0);
    });
}

#[test]
fn what_is_accepted_before_the_end_is_answered() {
    check(|| {
        let hub = Arc::new(Hub::default());
        hub.journal.open(0);
        let sender = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || accept(&hub, None))
        };
        hub.journal.close();
        let sent = sender.join().unwrap();
        hub.give_up_gathered();
        match sent {
            Ok(accepted) => assert_eq!(outcome(accepted), Outcome::Failed),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        assert_eq!(hub.journal.pending(), 0);
    });
}
