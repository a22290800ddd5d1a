use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::*;
use crate::hub::UserId;
use crate::hub::directory::{Chat, Loaded, Member};
use crate::hub::journal::{Accepted, Post};
use crate::hub::message::Message;

const NOW: Micros = 1_000_000;

fn chat(id: &str, users: &[UserId]) -> Chat {
    Chat::new(id.into(), 7, users.iter().map(|user| Member { user: *user, may_post: true }).collect())
}

/// A committed batch of one message a chat, the chats being as they were when the messages were accepted.
fn batch(hub: &Hub, chats: [Chat; 2]) -> Batch {
    hub.journal.open(0);
    for chat in chats {
        let to = Recipients::Members(Arc::new(chat));
        let message = Message::new("ann", "hi", NOW);
        let post = Post { is_stored: true, sender: 1, chat: 7, to, text: "hi".into(), message, client_id: None };
        assert!(matches!(hub.journal.accept(post, 10, NOW), Ok(Accepted::Waiting(_))));
    }
    match hub.journal.poll_batch(&Context::from_waker(Waker::noop()), NOW) {
        std::task::Poll::Ready(batch) => batch,
        std::task::Poll::Pending => panic!("two have gathered"),
    }
}

#[tokio::test]
async fn forgotten_chats_are_loaded_at_once_and_the_others_looked_up_after_that() {
    let hub = Hub::default();
    let [ann, bob, cat, dan] = [1, 2, 3, 4].map(|user| hub.open(user, NOW).unwrap());
    hub.directory.put_chat(chat("pc:known", &[1, 2]));
    let batch = batch(&hub, [chat("pc:known", &[1, 2]), chat("pc:forgotten", &[3])]);
    let mut publishing = pin!(hub.publish(batch, NOW));
    assert!(publishing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let load = hub.directory.next_batch().await;
    assert_eq!(load.chat_ids, ["pc:forgotten".into()]);
    hub.directory.put_chat(chat("pc:known", &[1]));
    hub.directory.land(&load, Loaded { chats: vec![chat("pc:forgotten", &[4])], ..Loaded::default() }, NOW);
    publishing.await;
    let waiting = [&ann, &bob, &cat, &dan].map(|session| session.waiting());
    assert_eq!(waiting, [1, 0, 0, 1], "bob and cat were removed before it was delivered");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_known_in_time_is_told_of_a_gap() {
    let hub = Hub::default();
    let [ann, bob] = [1, 2].map(|user| hub.open(user, NOW).unwrap());
    hub.directory.put_chat(chat("pc:known", &[1]));
    let batch = batch(&hub, [chat("pc:forgotten", &[2]), chat("pc:known", &[1])]);
    hub.publish(batch, NOW).await;
    assert_eq!((ann.waiting(), bob.waiting()), (1, 0));
    assert_eq!(hub.read(2, &bob.id(), NOW).unwrap().gather(10).refused, 1);
    assert_eq!(hub.journal.pending(), 0);
}
