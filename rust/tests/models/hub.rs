//! Every two things that can happen to a user's sessions, at the same time on one hub. In whatever order: what was
//! accepted for a session is delivered to it, what was refused is declared to it, or it is found in a session that is
//! gone to its owner too; and the hub's own books are right.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;
use pychat_core::hub::directory::User;
use pychat_core::hub::message::Message;
use pychat_core::hub::session::{ReadError, Reader, Session, SessionId};
use pychat_core::hub::settings::Settings;
use pychat_core::hub::{Hub, OpenError, UserId};

use crate::{both, check, check_briefly};

const USER: UserId = 1;
/// By the models' hasher, which leaves nothing to chance.
const IN_ANOTHER_SHARD: UserId = 3;
/// When the session that was opened at 0 and not read since is idle.
const LATER: i64 = 1_000_000_000;
const BOUND: usize = 2;
/// Who sends, by thread.
const SENDERS: [&str; 3] = ["ann", "bob", "cat"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Open,
    Close,
    Sweep,
    Push,
    Poll,
    PollerGone,
    Overflow,
    Settings,
}

const OPS: [Op; 8] = [Op::Open, Op::Close, Op::Sweep, Op::Push, Op::Poll, Op::PollerGone, Op::Overflow, Op::Settings];

#[test]
fn every_two() {
    for (place, one) in OPS.into_iter().enumerate() {
        for other in OPS.into_iter().skip(place) {
            check(move || at_once(&[one, other]));
        }
    }
}

/// With fewer forced switches, and only those threes in which a session may end: that is where two are not enough.
fn every_three_with(end: Op) {
    for (place, one) in OPS.into_iter().enumerate() {
        for other in OPS.into_iter().skip(place) {
            check_briefly(move || at_once(&[end, one, other]));
        }
    }
}

#[test]
fn every_three_with_a_sweep() {
    every_three_with(Op::Sweep);
}

#[test]
fn every_three_with_a_close() {
    every_three_with(Op::Close);
}

/// What one operation did.
#[derive(Default)]
struct Outcome {
    accepted: usize,
    refused: usize,
    received: Vec<String>,
    declared: usize,
    read: bool,
    opened: Option<Arc<Session>>,
}

fn settings() -> Settings {
    Settings { max_queue_size: BOUND, max_sessions_amount: 2, ..Settings::default() }
}

fn at_once(ops: &[Op]) {
    let hub = Arc::new(Hub::default());
    hub.apply(settings());
    let session = hub.open(USER, 0).unwrap();
    let id = session.id();
    let before = Outcome { accepted: deliver(&hub, "dan", 0).0, ..Outcome::default() };

    let [first, others @ ..] = ops else { unreachable!("there is one") };
    let others: Vec<_> = std::iter::zip(others, &SENDERS[1..])
        .map(|(op, name)| {
            let (op, hub) = (*op, Arc::clone(&hub));
            thread::spawn(move || run(op, &hub, &id, name))
        })
        .collect();
    let mut outcomes = vec![before, run(*first, &hub, &id, SENDERS[0])];
    outcomes.extend(others.into_iter().map(|thread| thread.join().unwrap()));

    let read_meanwhile = outcomes.iter().any(|outcome| outcome.read);
    let opened: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.opened.clone()).collect();
    let mut alive = 0;
    let sessions = [&[session][..], &opened].concat();
    for session in &sessions {
        assert!(session.waiting() <= BOUND, "over the bound");
        if let Ok(reader) = hub.read(USER, &session.id(), LATER) {
            alive += 1;
            outcomes.push(take(&reader));
        }
    }
    let first_lives = hub.read(USER, &id, LATER).is_ok();
    if !ops.contains(&Op::Close) {
        assert_eq!(first_lives, !ops.contains(&Op::Sweep) || read_meanwhile, "idle is what nobody reads");
        assert_eq!(alive, opened.len() + usize::from(first_lives), "a new session is not swept");
    }
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let (accepted, received) = (sum(|o| o.accepted), sum(|o| o.received.len()));
    let (refused, declared) = (sum(|o| o.refused), sum(|o| o.declared));
    // Those that live were read empty.
    let left = sessions.iter().map(|session| session.waiting()).sum::<usize>();
    let undeclared = sessions.iter().map(|session| session.undeclared()).sum::<usize>();
    assert_eq!(accepted, received + left, "delivered, or left in a session that is gone");
    assert_eq!(refused, declared + undeclared, "declared, or known to a session that is gone");
    if alive == sessions.len() {
        assert_eq!((left, undeclared), (0, 0));
    }
    for outcome in &outcomes {
        for sender in SENDERS {
            assert!(outcome.received.iter().filter(|json| json.contains(sender)).is_sorted(), "out of order");
        }
    }
    assert_eq!(hub.stats.sessions_opened.get(), alive as u64);
    assert_eq!(hub.online(), usize::from(alive > 0));
    let kept = hub.census().into_iter().find(|metric| metric.name == "chat_sessions_per_user_hist").unwrap().value.sum;
    assert_eq!(kept, alive as u64, "what is closed has left its mailbox");
    assert_eq!(deliver(&hub, SENDERS[0], 9), (alive, 0));
    let more = std::iter::repeat_with(|| hub.open(USER, LATER)).take_while(Result::is_ok).count();
    assert_eq!(more, hub.settings().max_sessions_amount.saturating_sub(alive), "a closed session takes no place");
    hub.close_user(USER, LATER);
    assert_eq!((hub.online(), hub.stats.sessions_opened.get()), (0, 0));
}

fn run(op: Op, hub: &Hub, id: &SessionId, name: &str) -> Outcome {
    let mut outcome = Outcome::default();
    match op {
        Op::Open => match hub.open(USER, LATER) {
            Ok(session) => outcome.opened = Some(session),
            Err(why) => assert_eq!(why, OpenError::TooManySessions),
        },
        Op::Close => hub.close_user(USER, LATER),
        Op::Sweep => (0..hub.shard_count()).for_each(|shard| _ = hub.sweep(shard, LATER)),
        Op::Push => (outcome.accepted, outcome.refused) = deliver(hub, name, 0),
        Op::Overflow => {
            for number in 0..BOUND {
                let (accepted, refused) = deliver(hub, name, number);
                outcome.accepted += accepted;
                outcome.refused += refused;
            }
        }
        Op::Poll | Op::PollerGone => match hub.read(USER, id, LATER) {
            Ok(reader) if op == Op::Poll => outcome = Outcome { read: true, ..take(&reader) },
            Ok(reader) => {
                reader.gather(1);
                outcome.read = true;
            }
            Err(ReadError::Gone | ReadError::Busy) => {}
        },
        Op::Settings => hub.apply(Settings { max_queue_size: 1, max_sessions_amount: 1, ..settings() }),
    }
    outcome
}

fn deliver(hub: &Hub, sender: &str, number: usize) -> (usize, usize) {
    let delivery = hub.deliver(&Message::new(sender, &number.to_string(), 0), [USER]);
    (delivery.accepted, delivery.refused)
}

/// One poll that does not wait.
fn take(reader: &Reader) -> Outcome {
    let _ = reader.poll_something(&Context::from_waker(Waker::noop()));
    let taken = reader.gather(9);
    let mut received = Vec::new();
    reader.commit(&taken, |message| received.push(String::from_utf8(message.json().to_vec()).unwrap()));
    Outcome { received, declared: taken.refused, ..Outcome::default() }
}

#[test]
fn of_two_users_for_the_last_place_one_gets_it() {
    check(|| {
        let hub = Arc::new(Hub::default());
        hub.apply(Settings { max_users_amount: 1, ..settings() });
        let (there, here) = both(|| hub.open(USER, 0).is_ok(), {
            let hub = Arc::clone(&hub);
            move || hub.open(IN_ANOTHER_SHARD, 0).is_ok()
        });
        assert!(here != there);
        assert_eq!((hub.online(), hub.stats.sessions_opened.get()), (1, 1));
    });
}

/// Whoever saw that the session is closed may open the next.
fn a_closed_session_takes_no_place(close: fn(&Hub)) {
    check(move || {
        let hub = Arc::new(Hub::default());
        hub.apply(Settings { max_sessions_amount: 1, ..settings() });
        let session = hub.open(USER, 0).unwrap();
        both(|| close(&hub), {
            let hub = Arc::clone(&hub);
            move || {
                let was_closed = session.is_closed();
                assert!(hub.open(USER, LATER).is_ok() || !was_closed);
            }
        });
    });
}

#[test]
fn a_session_that_is_being_collected_takes_no_place() {
    a_closed_session_takes_no_place(|hub| (0..hub.shard_count()).for_each(|shard| _ = hub.sweep(shard, LATER)));
}

#[test]
fn a_deleted_users_session_takes_no_place() {
    a_closed_session_takes_no_place(|hub| hub.close_user(USER, LATER));
}

/// A poll that found nothing sleeps until it is woken; what it waits for must wake it through every layer. loom cannot
/// see into the directory: whoever touches it holds the lock meanwhile, so that loom knows when it matters who was
/// first.
fn wakes_a_parked_poll(event: fn(&Hub, &Mutex<()>)) {
    check(move || {
        let (hub, directory) = (Arc::new(Hub::default()), Arc::new(Mutex::new(())));
        let id = hub.open(USER, 0).unwrap().id();
        both(|| event(&hub, &directory), {
            let (hub, directory) = (Arc::clone(&hub), Arc::clone(&directory));
            let is_revoked = move |hub: &Hub| {
                let _touching = directory.lock().unwrap();
                hub.directory.known_user(USER, 0).is_some_and(|user| user.token_generation != 0)
            };
            move || {
                if let Ok(reader) = hub.read(USER, &id, 0) {
                    block_on(poll_fn(|cx| match reader.poll_something(cx) {
                        Poll::Pending if hub.is_stopping() || is_revoked(&hub) => Poll::Ready(()),
                        found => found,
                    }));
                }
            }
        });
    });
}

#[test]
fn a_message_wakes_a_parked_poll() {
    wakes_a_parked_poll(|hub, _| assert_eq!(deliver(hub, "ann", 0), (1, 0)));
}

#[test]
fn the_users_deletion_wakes_a_parked_poll() {
    wakes_a_parked_poll(|hub, _| hub.close_user(USER, 0));
}

#[test]
fn a_changed_password_wakes_a_parked_poll() {
    wakes_a_parked_poll(|hub, directory| {
        let changed = User { id: USER, username: "ann".into(), revision: 1, token_generation: 1, deleted: false };
        {
            let _touching = directory.lock().unwrap();
            hub.directory.put_user(changed);
        }
        hub.wake_user(USER);
    });
}

#[test]
fn the_servers_stop_wakes_a_parked_poll() {
    wakes_a_parked_poll(|hub, _| hub.stop());
}
