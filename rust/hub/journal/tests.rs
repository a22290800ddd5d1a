use std::task::Waker;

use proptest::prelude::*;

use super::*;
use crate::hub::Hub;
use crate::hub::directory::Member;
use crate::hub::message::Message;

const NOW: Micros = 1_000_000;
const CHAT: ChatNumber = 7;

/// A hub that takes messages; ann (1) and bob (2) are in one chat.
fn hub() -> Hub {
    let hub = Hub::default();
    hub.directory.put_chat(chat(&[1, 2]));
    hub.journal.open(0);
    hub
}

fn chat(users: &[UserId]) -> Chat {
    Chat::new("pc:1".into(), CHAT, users.iter().map(|user| Member { user: *user, may_post: true }).collect())
}

fn post(text: &str, client_id: Option<&str>) -> Post {
    Post {
        sender: 1,
        chat: CHAT,
        to: Recipients::Members(Arc::new(chat(&[1, 2]))),
        text: text.into(),
        message: Message::new("ann", text, NOW),
        client_id: client_id.map(Arc::from),
    }
}

fn accept(hub: &Hub, text: &str, client_id: Option<&str>) -> Result<Accepted, Refused> {
    hub.journal.accept(post(text, client_id), 4, NOW)
}

/// The sender's end of a message that was accepted just now.
fn waiting(hub: &Hub, text: &str, client_id: Option<&str>) -> oneshot::Receiver<Outcome> {
    match accept(hub, text, client_id) {
        Ok(Accepted::Waiting(waiting)) => waiting,
        other => panic!("{other:?}"),
    }
}

fn take(hub: &Hub) -> Option<Batch> {
    match hub.journal.poll_batch(&Context::from_waker(Waker::noop()), NOW) {
        Poll::Ready(batch) => Some(batch),
        Poll::Pending => None,
    }
}

fn taken(hub: &Hub) -> Batch {
    take(hub).expect("something has gathered")
}

#[tokio::test]
async fn what_gathers_while_a_batch_is_out_is_the_next_one() {
    let hub = hub();
    let bob = hub.open(2, NOW).unwrap();
    let first = waiting(&hub, "1", None);
    let batch = taken(&hub);
    let mut others = [waiting(&hub, "2", None), waiting(&hub, "3", None)];
    assert!(take(&hub).is_none(), "one at a time");
    assert_eq!(bob.waiting(), 0, "nothing is delivered before it is committed");
    hub.publish(batch, NOW).await;
    let delivery = Delivery { accepted: 1, refused: 0 };
    assert_eq!(first.await, Ok(Outcome::Committed { id: NOW, delivery }));
    let batch = taken(&hub);
    assert_eq!(batch.ids().collect::<Vec<_>>(), [NOW + 1, NOW + 2], "ids go on though the clock stands");
    hub.give_up(batch);
    for other in &mut others {
        assert_eq!(other.await, Ok(Outcome::Failed));
    }
    assert_eq!((bob.waiting(), hub.journal.pending()), (1, 0));
}

#[tokio::test]
async fn recipients_are_those_in_the_chat_when_it_is_committed() {
    let hub = hub();
    let (bob, cat) = (hub.open(2, NOW).unwrap(), hub.open(3, NOW).unwrap());
    let sent = waiting(&hub, "hi", None);
    let batch = taken(&hub);
    hub.directory.put_chat(chat(&[1, 3]));
    hub.publish(batch, NOW).await;
    assert!(matches!(sent.await, Ok(Outcome::Committed { .. })));
    assert_eq!((bob.waiting(), cat.waiting()), (0, 1), "bob was removed, cat was added");
}

#[tokio::test]
async fn a_client_id_is_one_message_at_any_time() {
    let hub = hub();
    let first = waiting(&hub, "hi", Some("a"));
    let again = waiting(&hub, "hi", Some("a"));
    let batch = taken(&hub);
    assert_eq!(batch.len(), 1);
    let once_more = waiting(&hub, "hi", Some("a"));
    hub.publish(batch, NOW).await;
    assert!(matches!(first.await, Ok(Outcome::Committed { id: NOW, .. })));
    assert_eq!((again.await, once_more.await), (Ok(Outcome::Repeated(NOW)), Ok(Outcome::Repeated(NOW))));
    assert!(matches!(accept(&hub, "hi", Some("a")), Ok(Accepted::Repeated(NOW))));
    assert_eq!(hub.journal.pending(), 0);
    assert!(take(&hub).is_none());
}

#[tokio::test]
async fn one_that_failed_may_be_sent_again() {
    let hub = hub();
    let (first, again) = (waiting(&hub, "hi", Some("a")), waiting(&hub, "hi", Some("a")));
    hub.give_up(taken(&hub));
    assert_eq!((first.await, again.await), (Ok(Outcome::Failed), Ok(Outcome::Failed)));
    let anew = waiting(&hub, "hi", Some("a"));
    hub.publish(taken(&hub), NOW).await;
    assert!(matches!(anew.await, Ok(Outcome::Committed { .. })));
}

#[tokio::test]
async fn what_the_database_knew_already_leaves_the_batch() {
    let hub = hub();
    let bob = hub.open(2, NOW).unwrap();
    let old = waiting(&hub, "old", Some("a"));
    let new = waiting(&hub, "new", Some("b"));
    let mut batch = taken(&hub);
    let claims = batch.claims();
    assert_eq!((claims.count, &*claims.client_ids, &*claims.senders), (2, "a\nb", "1\n1"));
    let repeats = batch.take_repeats(&[NOW + 1]);
    assert_eq!(repeats.claims().collect::<Vec<_>>(), [(1, "a")]);
    hub.publish(batch, NOW).await;
    assert!(matches!(new.await, Ok(Outcome::Committed { .. })));
    hub.answer_repeats(repeats, |claim| (&*claim.1 == "a").then_some(5));
    assert_eq!(old.await, Ok(Outcome::Repeated(5)));
    assert!(matches!(accept(&hub, "old", Some("a")), Ok(Accepted::Repeated(5))), "and is remembered");
    assert_eq!((bob.waiting(), hub.journal.pending()), (1, 0));
}

#[tokio::test]
async fn an_unknown_outcome_is_told_to_senders_and_sessions_and_may_be_settled_later() {
    let hub = hub();
    let bob = hub.open(2, NOW).unwrap();
    let sent = waiting(&hub, "hi", Some("a"));
    let mut batch = taken(&hub);
    hub.doubt(&mut batch, NOW);
    assert_eq!(sent.await, Ok(Outcome::Unknown));
    let reader = hub.read(2, &bob.id(), NOW).unwrap();
    assert_eq!(reader.gather(10).refused, 1, "the session says that something may be missing");
    hub.publish(batch, NOW).await;
    assert_eq!(reader.gather(10).messages, 1);
    assert!(matches!(accept(&hub, "hi", Some("a")), Ok(Accepted::Repeated(NOW))));
}

#[test]
fn no_more_than_may_be_pending_and_nothing_while_it_is_closed() {
    let hub = hub();
    let _batch = { (waiting(&hub, "1", None), taken(&hub)) };
    let _more: Vec<_> = ["2", "3", "4"].map(|text| waiting(&hub, text, None)).into();
    assert_eq!(accept(&hub, "5", None).unwrap_err(), Refused::Full, "what is out counts");
    hub.give_up_gathered();
    assert_eq!(hub.journal.pending(), 1);
    hub.journal.close();
    assert_eq!(accept(&hub, "6", None).unwrap_err(), Refused::Closed);
}

#[test]
fn text_is_bounded_in_bytes() {
    let journal = Journal::default();
    journal.open(0);
    let large = "x".repeat(MAX_BYTES / 2);
    for _ in 0..2 {
        assert!(journal.accept(post(&large, None), 100, NOW).is_ok());
    }
    assert_eq!(journal.accept(post("x", None), 100, NOW).unwrap_err(), Refused::Full);
}

#[test]
fn a_batch_is_bounded_and_the_rest_comes_next() {
    let hub = hub();
    for _ in 0..MAX_ROWS + 1 {
        hub.journal.accept(post("x", None), 10_000, NOW).unwrap();
    }
    let batch = taken(&hub);
    assert_eq!(batch.len(), MAX_ROWS);
    hub.give_up(batch);
    assert_eq!(taken(&hub).len(), 1);
}

#[test]
fn ids_begin_above_the_highest_and_never_go_back() {
    let hub = hub();
    hub.journal.open(NOW + 100);
    hub.journal.open(0);
    let _sent = waiting(&hub, "hi", None);
    assert_eq!(taken(&hub).ids().collect::<Vec<_>>(), [NOW + 101]);
    assert_eq!(hub.journal.pass(None, NOW), Ok(NOW + 102));
}

#[test]
fn rows_are_what_postgres_reads() {
    let hub = hub();
    let _sent = waiting(&hub, "hé", None);
    let row = [
        &[0, 4][..],
        &[0, 0, 0, 8],
        &NOW.to_be_bytes(),
        &[0, 0, 0, 8],
        &CHAT.to_be_bytes(),
        &[0, 0, 0, 8],
        &1_i64.to_be_bytes(),
        &[0, 0, 0, 3],
        "hé".as_bytes(),
    ];
    let rows = [b"PGCOPY\n\xff\r\n\0", &[0; 8][..], &row.concat(), &[0xff, 0xff]].concat();
    assert_eq!(taken(&hub).rows(), rows);
}

proptest! {
    /// Whatever the senders and the writer do: everyone accepted is answered once, and in the end nothing is pending.
    #[test]
    fn everyone_is_answered(steps in prop::collection::vec((0..7_u8, 0..4_u8), 1..60)) {
        let hub = hub();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut out, mut senders) = (None, Vec::new());
        for (step, client_id) in steps {
            match step {
                0..3 => {
                    let client_id = (client_id < 3).then(|| client_id.to_string());
                    if let Ok(Accepted::Waiting(waiting)) = accept(&hub, "hi", client_id.as_deref()) {
                        senders.push(waiting);
                    }
                }
                3 => out = out.or_else(|| take(&hub)),
                4 => if let Some(batch) = out.take() { runtime.block_on(hub.publish(batch, NOW)) },
                5 => if let Some(batch) = out.take() { hub.give_up(batch) },
                _ => if let Some(mut batch) = out.take() {
                    hub.answer_repeats(batch.take_repeats(&[]), |_| Some(1));
                    runtime.block_on(hub.publish(batch, NOW));
                },
            }
            let told = senders.iter_mut().map(oneshot::Receiver::try_recv);
            let unanswered = told.filter(|told| *told == Err(oneshot::error::TryRecvError::Empty)).count();
            prop_assert_eq!(unanswered, hub.journal.pending());
            senders.retain_mut(|sender| !sender.is_terminated());
        }
        if let Some(batch) = out {
            hub.give_up(batch);
        }
        hub.give_up_gathered();
        prop_assert_eq!(hub.journal.pending(), 0);
        for sender in &mut senders {
            prop_assert!(sender.try_recv().is_ok());
        }
    }
}
