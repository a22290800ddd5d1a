use std::cell::RefCell;
use std::future::poll_fn;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::hub::message::Message;
use crate::hub::session::Pushed;
use crate::hub::sweep::RELEASE_STEP;

const SECOND: Micros = 1_000_000;
const SHORT: &str = "hi";

fn hub(settings: Settings) -> Hub {
    let hub = Hub::default();
    hub.apply(settings);
    hub
}

fn texts(reader: &Reader, limit: usize) -> (Vec<String>, bool) {
    let taken = reader.gather(limit);
    let mut texts = Vec::new();
    reader.for_each(&taken, |message| texts.push(String::from_utf8(message.json().to_vec()).unwrap()));
    reader.commit(&taken, |_| {});
    (texts, taken.refused > 0)
}

fn json(text: &str) -> String {
    format!(r#"{{"sender":"ann","text":"{text}"}}"#)
}

fn send(hub: &Hub, user: UserId, text: &str) -> Delivery {
    hub.deliver(&Message::new("ann", text, 0), [user])
}

#[test]
fn a_message_reaches_every_session_of_every_user_and_nobody_else() {
    let hub = Hub::default();
    let sessions: Vec<_> = [1, 1, 2, 3].iter().map(|user| (*user, hub.open(*user, 0).unwrap())).collect();
    let delivery = hub.deliver(&Message::new("ann", SHORT, 0), [1, 2]);
    assert_eq!(delivery, Delivery { accepted: 3, refused: 0 });
    for (user, session) in sessions {
        let reader = hub.read(user, &session.id(), 0).unwrap();
        let expected = if user == 3 { vec![] } else { vec![json(SHORT)] };
        assert_eq!(texts(&reader, 10), (expected, false));
    }
}

#[test]
fn sessions_a_user_and_users_online_are_bounded() {
    let hub = hub(Settings { max_sessions_amount: 2, max_users_amount: 1, ..Settings::default() });
    assert!(hub.open(1, 0).is_ok() && hub.open(1, 0).is_ok());
    assert_eq!(hub.open(1, 0).unwrap_err(), OpenError::TooManySessions);
    assert_eq!(hub.open(2, 0).unwrap_err(), OpenError::TooManyUsers);
    hub.close_user(1, 0);
    assert_eq!(hub.online(), 0);
    assert!(hub.open(2, 0).is_ok());
}

#[test]
fn nobody_gets_in_where_the_bound_is_zero() {
    let no_sessions = hub(Settings { max_sessions_amount: 0, ..Settings::default() });
    assert_eq!(no_sessions.open(1, 0).unwrap_err(), OpenError::TooManySessions);
    let no_users = hub(Settings { max_users_amount: 0, ..Settings::default() });
    assert_eq!(no_users.open(1, 0).unwrap_err(), OpenError::TooManyUsers);
    assert_eq!((no_sessions.online(), no_users.online()), (0, 0));
}

#[test]
fn a_lower_bound_of_sessions_keeps_those_there_are() {
    let hub = hub(Settings { max_sessions_amount: 2, ..Settings::default() });
    let kept = [hub.open(1, 0).unwrap(), hub.open(1, 0).unwrap()];
    hub.apply(Settings { max_sessions_amount: 1, ..Settings::default() });
    assert_eq!(hub.open(1, 0).unwrap_err(), OpenError::TooManySessions);
    assert!(kept.iter().all(|session| hub.read(1, &session.id(), 0).is_ok()));
}

#[test]
fn a_full_session_keeps_the_old_messages_and_declares_the_gap_once() {
    let hub = hub(Settings { max_queue_size: 2, ..Settings::default() });
    let session = hub.open(1, 0).unwrap();
    let outcomes: Vec<_> = ["a", "b", "c"].iter().map(|text| send(&hub, 1, text).accepted).collect();
    assert_eq!(outcomes, [1, 1, 0]);
    let reader = hub.read(1, &session.id(), 0).unwrap();
    assert_eq!(texts(&reader, 10), (vec![json("a"), json("b")], true));
    assert_eq!(texts(&reader, 10), (vec![], false));
    assert_eq!(send(&hub, 1, "d").accepted, 1, "there is room again");
}

#[test]
fn bytes_are_bounded_too_and_come_back() {
    let hub = hub(Settings { max_queue_bytes: 1_000, ..Settings::default() });
    let session = hub.open(1, 0).unwrap();
    let long = "x".repeat(700);
    assert_eq!(send(&hub, 1, &long).accepted, 1);
    assert_eq!(send(&hub, 1, &long).accepted, 0);
    let reader = hub.read(1, &session.id(), 0).unwrap();
    assert_eq!(texts(&reader, 10), (vec![json(&long)], true));
    assert_eq!(send(&hub, 1, &long).accepted, 1);
}

#[test]
fn what_a_reader_gathered_and_left_counts_against_the_bound() {
    let settings = Settings { max_queue_size: 2, ..Settings::default() };
    let hub = hub(settings.clone());
    let session = hub.open(1, 0).unwrap();
    send(&hub, 1, "a");
    send(&hub, 1, "b");
    let reader = hub.read(1, &session.id(), 0).unwrap();
    assert_eq!(reader.gather(1).messages, 1);
    drop(reader);
    assert_eq!(session.push(&Message::new("ann", "c", 0), &settings), Pushed::Refused);
    let reader = hub.read(1, &session.id(), 0).unwrap();
    assert_eq!(texts(&reader, 1), (vec![json("a")], true));
    assert_eq!(texts(&reader, 1), (vec![json("b")], false));
}

#[test]
fn a_closed_session_takes_nothing() {
    let hub = Hub::default();
    let session = hub.open(1, 0).unwrap();
    session.close();
    assert_eq!(send(&hub, 1, SHORT), Delivery::default());
    assert_eq!(session.waiting(), 0);
}

#[test]
fn one_reader_at_a_time_and_the_next_one_as_soon_as_it_is_gone() {
    let hub = Hub::default();
    let id = hub.open(1, 0).unwrap().id();
    let reader = hub.read(1, &id, 0).unwrap();
    assert_eq!(hub.read(1, &id, 0).unwrap_err(), ReadError::Busy);
    drop(reader);
    assert!(hub.read(1, &id, 0).is_ok());
    assert_eq!(hub.read(2, &id, 0).unwrap_err(), ReadError::Gone, "somebody else's");
    assert_eq!(hub.read(1, &Uuid::nil(), 0).unwrap_err(), ReadError::Gone);
}

#[test]
fn a_session_that_is_read_is_not_idle() {
    let hub = Hub::default();
    let session = hub.open(1, 0).unwrap();
    let idle = hub.settings().session_idle_timeout;
    let sweep = |now| (0..hub.shard_count()).map(|shard| hub.sweep(shard, now)).sum::<usize>();
    let reader = hub.read(1, &session.id(), 0).unwrap();
    assert_eq!(sweep(10 * idle), 0);
    reader.finish(10 * idle);
    assert_eq!(sweep(11 * idle - 1), 0, "it was seen when the reading ended");
    assert_eq!(sweep(11 * idle), 1);
    assert_eq!(hub.read(1, &session.id(), 11 * idle).unwrap_err(), ReadError::Gone);
    assert_eq!((hub.online(), send(&hub, 1, SHORT)), (0, Delivery::default()));
    assert!(hub.open(1, 11 * idle).is_ok(), "and may come back");
}

#[test]
fn what_was_swept_is_freed_a_little_at_a_time() {
    swept_and_freed_a_little_at_a_time(&Hub::default(), 0);
}

/// As a browser's closed tab, beside one that is still open.
#[test]
fn a_session_that_was_swept_is_freed_so_while_its_user_keeps_another() {
    let hub = Hub::default();
    let kept = 2 * RELEASE_STEP as UserId + 1;
    (0..kept).for_each(|user| _ = hub.open(user, SECOND).unwrap());
    swept_and_freed_a_little_at_a_time(&hub, kept as usize);
    assert!((0..kept).all(|user| send(&hub, user, SHORT).accepted == 1));
}

fn swept_and_freed_a_little_at_a_time(hub: &Hub, online: usize) {
    let users = 2 * RELEASE_STEP as UserId + 1;
    let sessions: Vec<_> = (0..users).map(|user| Arc::downgrade(&hub.open(user, 0).unwrap())).collect();
    let freed = || sessions.iter().filter(|session| session.strong_count() == 0).count();
    (0..hub.shard_count()).for_each(|shard| _ = hub.sweep(shard, hub.settings().session_idle_timeout));
    assert_eq!((hub.online(), freed()), (online, 0));
    let rests = RefCell::new(Vec::new());
    hub.release_swept(|| rests.borrow_mut().push(freed()));
    assert_eq!(rests.take(), [RELEASE_STEP, 2 * RELEASE_STEP]);
    assert_eq!(freed(), sessions.len());
}

#[tokio::test]
async fn a_parked_reader_is_woken_by_a_message_a_refusal_and_the_close() {
    let hub = Arc::new(hub(Settings { max_queue_size: 1, ..Settings::default() }));
    let session = hub.open(1, 0).unwrap();
    let wake_by = |action: Box<dyn FnOnce(&Hub) + Send>| {
        let reader = hub.read(1, &session.id(), 0).unwrap();
        let parked = tokio::spawn(async move {
            poll_fn(|cx| reader.poll_something(cx)).await;
            (texts(&reader, 10), reader.is_closed())
        });
        let hub = Arc::clone(&hub);
        async move {
            tokio::task::yield_now().await;
            action(&hub);
            parked.await.unwrap()
        }
    };
    assert_eq!(
        wake_by(Box::new(|hub| assert_eq!(send(hub, 1, "a").accepted, 1))).await,
        ((vec![json("a")], false), false)
    );
    let too_large = "x".repeat(2_000_000);
    assert_eq!(
        wake_by(Box::new(move |hub| assert_eq!(send(hub, 1, &too_large).refused, 1))).await,
        ((vec![], true), false)
    );
    assert!(wake_by(Box::new(|hub| hub.close_user(1, SECOND))).await.1);
}

proptest! {
    /// A session against a plain list: pushes, whole and broken polls, changing bounds.
    #[test]
    fn a_session_is_a_bounded_list_with_a_sticky_mark(
        ops in prop::collection::vec((0..4_u8, 0_usize..6), 0..200),
    ) {
        let session = Arc::new(Session::new(Uuid::nil(), 0));
        let mut settings = Settings { max_queue_size: 3, ..Settings::default() };
        let (mut model, mut missed) = (std::collections::VecDeque::new(), false);
        for (number, (op, amount)) in ops.into_iter().enumerate() {
            match op {
                0 => settings.max_queue_size = amount,
                1 => {
                    let fits = model.len() < settings.max_queue_size;
                    let expected = if fits { Pushed::Accepted } else { Pushed::Refused };
                    if fits {
                        model.push_back(json(&number.to_string()));
                    } else {
                        missed = true;
                    }
                    prop_assert_eq!(session.push(&Message::new("ann", &number.to_string(), 0), &settings), expected);
                }
                2 => prop_assert_eq!(
                    Arc::clone(&session).read(0).unwrap().gather(amount).messages, model.len().min(amount)
                ),
                _ => {
                    let reader = Arc::clone(&session).read(0).unwrap();
                    let expected: Vec<_> = model.drain(..model.len().min(amount)).collect();
                    prop_assert_eq!(texts(&reader, amount), (expected, std::mem::take(&mut missed)));
                }
            }
            prop_assert_eq!(session.waiting(), model.len());
        }
    }
}

#[test]
fn a_census_counts_what_there_is() {
    let hub = Hub::default();
    for user in [1, 1, 1, 2] {
        hub.open(user, 0).unwrap();
    }
    send(&hub, 1, SHORT);
    let census = |name| hub.census().into_iter().find(|metric| metric.name == name).expect("it is there").value;
    assert_eq!(census("chat_sessions_per_user_hist").counts, [1, 0, 1, 0, 0, 0]);
    let queues = census("chat_sessions_queue_size_hist");
    assert_eq!((queues.counts.iter().sum::<u64>(), queues.sum), (4, 3));
    let shards = census("chat_mailbox_shards_size_hist");
    assert_eq!((shards.counts.iter().sum::<u64>(), shards.sum), (SHARDS as u64, 2));
}

#[test]
fn a_reset_leaves_nobody() {
    let hub = Hub::default();
    let limiter = hub.settings().limiter;
    let session = hub.open(1, 0).unwrap();
    while hub.limiter.take(1, 0, &limiter).is_ok() {}
    hub.reset(0);
    assert_eq!((hub.online(), hub.limiter.bucket_count(), hub.stats.sessions_opened.get()), (0, 0, 0));
    assert_eq!(hub.read(1, &session.id(), 0).unwrap_err(), ReadError::Gone);
    assert_eq!(hub.limiter.take(1, 0, &limiter), Ok(()));
}
