use std::task::Waker;

use proptest::prelude::*;

use super::*;
use crate::hub::Hub;
use crate::hub::directory::Member;
use crate::hub::message::Message;

const NOW: Micros = 1_000_000;
const CHAT: ChatNumber = 7;
const MAX_PENDING: usize = 4;

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
        is_stored: true,
        sender: 1,
        chat: CHAT,
        to: Recipients::Members(Arc::new(chat(&[1, 2]))),
        text: text.into(),
        message: Message::new("ann", text, NOW),
        client_id: client_id.map(Arc::from),
    }
}

fn accept(hub: &Hub, text: &str, client_id: Option<&str>) -> Result<Accepted, Refused> {
    hub.journal.accept(post(text, client_id), MAX_PENDING, NOW)
}

/// The sender's end of a message that was accepted just now.
fn waiting(hub: &Hub, text: &str, client_id: Option<&str>) -> oneshot::Receiver<Outcome> {
    match accept(hub, text, client_id) {
        Ok(Accepted::Waiting(waiting) | Accepted::Repeating(waiting)) => waiting,
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
async fn a_repeat_whose_first_is_not_found_does_not_hear_that_it_is_not_stored() {
    let hub = hub();
    let again = waiting(&hub, "old", Some("a"));
    let mut batch = taken(&hub);
    hub.answer_repeats(batch.take_repeats(&[]), |_| None);
    assert_eq!(again.await, Ok(Outcome::Unknown));
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

#[tokio::test]
async fn a_repeat_of_one_in_doubt_is_told_so() {
    let hub = hub();
    let (first, joined) = (waiting(&hub, "hi", Some("a")), waiting(&hub, "hi", Some("a")));
    let mut batch = taken(&hub);
    hub.doubt(&mut batch, NOW);
    assert_eq!((first.await, joined.await), (Ok(Outcome::Unknown), Ok(Outcome::Unknown)));
    assert_eq!(hub.journal.pending(), 1, "the one that is still to be settled");
    assert_eq!(hub.stats.journal_unknown.get(), 1);
    assert_eq!(accept(&hub, "hi", Some("a")).unwrap_err(), Refused::Doubted);
    hub.journal.close();
    assert_eq!(accept(&hub, "hi", Some("a")).unwrap_err(), Refused::Doubted, "and not that it is not stored");
    assert_eq!(accept(&hub, "hi", Some("b")).unwrap_err(), Refused::Closed);
    hub.journal.open(0);
    assert_eq!(accept(&hub, "hi", Some("a")).unwrap_err(), Refused::Doubted, "that is not known yet");
    hub.give_up(batch);
    let anew = waiting(&hub, "hi", Some("a"));
    hub.publish(taken(&hub), NOW).await;
    assert!(matches!(anew.await, Ok(Outcome::Committed { .. })));
    assert_eq!(hub.journal.pending(), 0);
}

#[tokio::test]
async fn a_batch_that_is_lost_is_in_doubt_until_the_next_writer_knows() {
    let hub = hub();
    let (first, joined) = (waiting(&hub, "hi", Some("a")), waiting(&hub, "hi", Some("a")));
    hub.lose(taken(&hub), NOW);
    assert_eq!((first.await, joined.await), (Ok(Outcome::Unknown), Ok(Outcome::Unknown)));
    assert_eq!((hub.stats.journal_unknown.get(), hub.stats.journal_failed.get()), (1, 0));
    assert_eq!(hub.journal.pending(), 0);
    assert_eq!(accept(&hub, "hi", Some("a")).unwrap_err(), Refused::Doubted);
    hub.journal.open(0);
    let again = waiting(&hub, "hi", Some("a"));
    let repeats = taken(&hub).take_repeats(&[]);
    hub.answer_repeats(repeats, |_| Some(5));
    assert_eq!(again.await, Ok(Outcome::Repeated(5)), "what the database says is final");
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
fn memory_is_bounded_in_bytes() {
    let journal = Journal::default();
    journal.open(0);
    // Held twice, beside what holds it.
    let half = "x".repeat(MAX_BYTES / 4);
    for _ in 0..2 {
        assert!(journal.accept(post(&half, None), 100, NOW).is_ok());
        assert_eq!(journal.accept(post(&half, None), 100, NOW).unwrap_err(), Refused::Full);
        journal.fail_gathered();
    }
    let mut small = 0;
    while journal.accept(post("x", Some(&small.to_string())), usize::MAX, NOW).is_ok() {
        small += 1;
    }
    assert!((50_000..70_000).contains(&small), "{small}");
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
    assert_eq!(hub.journal.next_id(NOW), NOW + 102);
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

/// What the senders and the writer may do; the number is a client id, or none.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8),
    Take,
    Publish,
    GiveUp,
    Repeat,
    Doubt,
    Lose,
    Close,
    Open,
}

const CLIENT_IDS: u8 = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..CLIENT_IDS + 1).prop_map(Step::Send),
        3 => Just(Step::Take),
        1 => Just(Step::Publish),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Repeat),
        1 => Just(Step::Doubt),
        1 => Just(Step::Lose),
        1 => Just(Step::Close),
        2 => Just(Step::Open),
    ]
}

/// Senders and what they were told, and the client ids whose first is in doubt.
#[derive(Default)]
struct Model {
    out: Option<Batch>,
    /// Client id of each.
    senders: Vec<(Option<u8>, oneshot::Receiver<Outcome>)>,
    /// Of the batch that is out, and told that nobody knows.
    doubted: Vec<Option<u8>>,
    lost: Vec<u8>,
    is_open: bool,
}

impl Model {
    fn send(&mut self, hub: &Hub, number: u8) {
        let client_id = (number < CLIENT_IDS).then_some(number);
        let is_doubted = client_id.is_some_and(|id| self.doubted.contains(&Some(id)) || self.lost.contains(&id));
        match accept(hub, "hi", client_id.map(|id| id.to_string()).as_deref()) {
            Ok(Accepted::Waiting(waiting) | Accepted::Repeating(waiting)) => {
                assert!(!is_doubted);
                self.senders.push((client_id, waiting));
            }
            Ok(Accepted::Repeated(_)) => assert!(client_id.is_some() && !is_doubted),
            Err(Refused::Doubted) => assert!(is_doubted),
            Err(Refused::Closed) => assert!(!is_doubted && !self.is_open),
            Err(Refused::Full) => assert!(!is_doubted && hub.journal.pending() >= MAX_PENDING),
        }
    }

    /// Of the senders that were told something now, those for which it is `Unknown`.
    fn hear(&mut self) -> Vec<Option<u8>> {
        let mut unknown = Vec::new();
        self.senders.retain_mut(|(client_id, sender)| match sender.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => true,
            told => {
                if told == Ok(Outcome::Unknown) {
                    unknown.push(*client_id);
                }
                assert!(told.is_ok(), "whoever was accepted is answered");
                false
            }
        });
        unknown
    }

    fn step(&mut self, hub: &Hub, runtime: &tokio::runtime::Runtime, step: Step) {
        match step {
            Step::Send(number) => self.send(hub, number),
            Step::Take => self.out = self.out.take().or_else(|| take(hub)),
            Step::Open => {
                hub.journal.open(0);
                self.is_open = true;
                self.lost.clear();
            }
            Step::Close => {
                hub.journal.close();
                self.is_open = false;
            }
            _ => {
                let Some(mut batch) = self.out.take() else { return };
                let size = batch.len();
                match step {
                    Step::Publish => runtime.block_on(hub.publish(batch, NOW)),
                    Step::GiveUp => hub.give_up(batch),
                    Step::Repeat => {
                        hub.answer_repeats(batch.take_repeats(&[]), |_| Some(1));
                        runtime.block_on(hub.publish(batch, NOW));
                    }
                    Step::Doubt => {
                        hub.doubt(&mut batch, NOW);
                        self.out = Some(batch);
                        let told = self.hear();
                        if self.doubted.is_empty() {
                            assert!(told.len() >= size, "repeats are told as well");
                            self.doubted = told;
                        }
                        return;
                    }
                    _ => {
                        hub.lose(batch, NOW);
                        let told = self.hear();
                        self.lost.extend(self.doubted.drain(..).chain(told).flatten());
                    }
                }
                self.doubted.clear();
                assert_eq!(self.hear(), []);
            }
        }
    }
}

#[tokio::test]
async fn of_a_message_that_is_only_live_the_client_id_is_stored() {
    let hub = hub();
    let bob = hub.open(2, NOW).unwrap();
    let live = Post { is_stored: false, ..post("live", Some("a")) };
    let Ok(Accepted::Waiting(sent)) = hub.journal.accept(live, 4, NOW) else { panic!("it is refused") };
    let _other = waiting(&hub, "stored", None);
    let batch = taken(&hub);
    assert_eq!((batch.len(), batch.stored(), batch.claims().count), (2, 1, 1));
    assert!(batch.rows().windows(6).any(|part| part == b"stored"));
    assert!(!batch.rows().windows(4).any(|part| part == b"live"));
    hub.publish(batch, NOW).await;
    assert!(matches!(sent.await, Ok(Outcome::Committed { .. })));
    assert_eq!((bob.waiting(), hub.stats.journal_committed.get()), (2, 1));
    assert!(matches!(accept(&hub, "live", Some("a")), Ok(Accepted::Repeated(NOW))));
}

proptest! {
    /// Whatever the senders and the writer do: everyone accepted is answered once, a client id whose message is in
    /// doubt is never said to be free, and in the end nothing is pending.
    #[test]
    fn everyone_is_answered(steps in prop::collection::vec(step(), 1..60)) {
        let hub = hub();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut model = Model { is_open: true, ..Model::default() };
        for step in steps {
            model.step(&hub, &runtime, step);
            let unsettled = model.out.as_ref().filter(|_| !model.doubted.is_empty()).map_or(0, Batch::len);
            prop_assert_eq!(model.senders.len() + unsettled, hub.journal.pending());
        }
        if let Some(batch) = model.out.take() {
            hub.give_up(batch);
        }
        hub.give_up_gathered();
        prop_assert_eq!(hub.journal.pending(), 0);
        model.hear();
        prop_assert!(model.senders.is_empty());
    }
}
