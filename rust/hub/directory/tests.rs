use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::JoinHandle;

use super::*;

fn user(id: UserId, username: &str, revision: i32) -> User {
    User { id, username: username.into(), revision, token_generation: 0, deleted: false }
}

fn land(directory: &Directory, batch: &LoadBatch, users: Vec<User>) {
    directory.land(batch, Loaded { users, ..Loaded::default() }, 0);
}

#[tokio::test]
async fn many_who_ask_for_one_thing_cost_one_question() {
    let directory = Arc::new(Directory::default());
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { directory.user(7, 0).await })
        })
        .collect();
    let batch = directory.next_batch().await;
    tokio::task::yield_now().await;
    assert_eq!((&batch.user_ids[..], batch.usernames.len(), batch.chat_ids.len()), (&[7][..], 0, 0));
    land(&directory, &batch, vec![user(7, "ann", 0)]);
    for asked in asking {
        assert_eq!(&*asked.await.unwrap().unwrap().unwrap().username, "ann");
    }
    assert!(directory.user(7, 0).await.unwrap().is_some(), "known from now on, without the loader");
}

/// Asks in the background, and returns when the loader has the question.
async fn ask<T, F>(directory: &Arc<Directory>, question: impl FnOnce(Arc<Directory>) -> F) -> (JoinHandle<T>, LoadBatch)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let asked = tokio::spawn(question(Arc::clone(directory)));
    (asked, directory.next_batch().await)
}

#[tokio::test]
async fn what_does_not_exist_is_remembered_for_a_while_and_a_put_ends_it() {
    let directory = Arc::new(Directory::default());
    let (asked, batch) = ask(&directory, |d| async move { d.user(7, 0).await }).await;
    land(&directory, &batch, vec![]);
    assert_eq!(asked.await.unwrap(), Ok(None));
    assert_eq!(directory.user(7, 1_999_999).await, Ok(None));
    let (asked, batch) = ask(&directory, |d| async move { d.user(7, 2_000_000).await }).await;
    land(&directory, &batch, vec![]);
    assert_eq!(asked.await.unwrap(), Ok(None));
    directory.put_user(user(7, "ann", 0));
    assert!(directory.user(7, 0).await.unwrap().is_some());
}

#[tokio::test]
async fn an_answer_from_before_a_change_does_not_replace_it() {
    let directory = Arc::new(Directory::default());
    let (asked, batch) = ask(&directory, |d| async move { d.user(7, 0).await }).await;
    directory.put_user(user(7, "new", 2));
    land(&directory, &batch, vec![user(7, "old", 1)]);
    assert_eq!(&*asked.await.unwrap().unwrap().unwrap().username, "new");
    assert_eq!(&*directory.user(7, 0).await.unwrap().unwrap().username, "new");
    directory.put_user(user(7, "late", 1));
    assert_eq!(&*directory.user(7, 0).await.unwrap().unwrap().username, "new", "the older row comes too late");
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_loaded_is_loaded_again() {
    let directory = Arc::new(Directory::default());
    let (asked, batch) = ask(&directory, |d| async move { d.user(7, 0).await }).await;
    directory.forget_user(7);
    land(&directory, &batch, vec![user(7, "old", 0)]);
    let again = directory.next_batch().await;
    land(&directory, &again, vec![user(7, "new", 1)]);
    assert_eq!(&*asked.await.unwrap().unwrap().unwrap().username, "new");
}

#[tokio::test]
async fn a_name_belongs_to_who_has_it_now() {
    let directory = Arc::new(Directory::default());
    directory.put_user(user(1, "ann", 0));
    assert_eq!(directory.user_named("ann", 0).await.unwrap().unwrap().id, 1);
    directory.put_user(user(1, "anna", 1));
    let (asked, batch) = ask(&directory, |d| async move { d.user_named("ann", 0).await }).await;
    assert_eq!(&*batch.usernames, &["ann".into()]);
    land(&directory, &batch, vec![]);
    assert_eq!(asked.await.unwrap(), Ok(None));
    directory.put_user(User { deleted: true, ..user(1, "anna", 2) });
    assert_eq!(directory.user_named("anna", 0).await, Ok(None), "a deleted user's name finds nobody");
    assert!(directory.user(1, 0).await.unwrap().unwrap().deleted);
}

#[tokio::test]
async fn a_failed_batch_answers_everyone_and_remembers_nothing() {
    let directory = Arc::new(Directory::default());
    let (asked, batch) = ask(&directory, |d| async move { d.chat("pc:1", 0).await }).await;
    directory.fail(&batch, 0);
    assert_eq!(asked.await.unwrap(), Err(Unavailable));
    let (asked, batch) = ask(&directory, |d| async move { d.chat("pc:1", 0).await }).await;
    let chat =
        Chat::new("pc:1".into(), 7, vec![Member { user: 2, may_post: true }, Member { user: 1, may_post: false }]);
    directory.land(&batch, Loaded { chats: vec![chat], ..Loaded::default() }, 0);
    let chat = asked.await.unwrap().unwrap().unwrap();
    assert_eq!(chat.member(1), Some(Member { user: 1, may_post: false }));
    assert_eq!(chat.member(3), None);
}

#[tokio::test]
async fn two_have_one_private_chat_from_either_side() {
    let directory = Arc::new(Directory::default());
    let (asked, batch) = ask(&directory, |d| async move { d.private_chat(2, 1, 0).await }).await;
    assert_eq!(batch.pairs, [(1, 2)]);
    directory.land(&batch, Loaded { pairs: HashMap::from([((1, 2), 7)]), ..Loaded::default() }, 0);
    assert_eq!(asked.await.unwrap(), Ok(Some(7)));
    assert_eq!(directory.private_chat(1, 2, 0).await, Ok(Some(7)), "known from now on");
}

#[tokio::test]
async fn what_cannot_exist_is_never_asked_for() {
    let directory = Directory::default();
    for name in ["a\0b", "a b", "ä", &"a".repeat(65)] {
        assert_eq!(directory.user_named(name, 0).await, Ok(None));
        assert_eq!(directory.chat(name, 0).await, Ok(None));
    }
}

#[tokio::test]
async fn a_batch_is_bounded_and_the_rest_comes_next() {
    let directory = Arc::new(Directory::default());
    for id in 0..1_500 {
        let directory = Arc::clone(&directory);
        tokio::spawn(async move { directory.user(id, 0).await });
    }
    let sizes = async {
        while directory.users.waiting() < 1_500 {
            tokio::task::yield_now().await;
        }
        [directory.next_batch().await.user_ids.len(), directory.next_batch().await.user_ids.len()]
    };
    assert_eq!(sizes.await, [1_000, 500]);
}

/// Counts its wakes; each must come when the lock is free.
struct Woken {
    directory: Arc<Directory>,
    times: AtomicUsize,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        assert!(!self.directory.users.is_locked(), "whoever is woken would wait for the lock at once");
        self.times.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nobody_is_woken_under_the_lock() {
    let directory = Arc::new(Directory::default());
    let woken = Arc::new(Woken { directory: Arc::clone(&directory), times: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut loader = pin!(directory.next_batch());
    assert!(loader.as_mut().poll(&mut cx).is_pending());
    let mut asked: [_; 2] = [7, 8].map(|id| Box::pin(directory.user(id, 0)));
    for question in &mut asked {
        assert!(question.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(woken.times.load(Ordering::Relaxed), 1, "the loader hears of the first");
    let Poll::Ready(batch) = loader.as_mut().poll(&mut cx) else { panic!("there is something to load") };
    directory.put_user(user(7, "ann", 0));
    directory.land(&batch, Loaded::default(), 0);
    assert_eq!(woken.times.load(Ordering::Relaxed), 3);
    let mut question = Box::pin(directory.user(9, 0));
    assert!(question.as_mut().poll(&mut cx).is_pending());
    let mut next = [(); 2].map(|()| Box::pin(directory.next_batch()));
    assert!(next[0].as_mut().poll(&mut cx).is_ready() && next[1].as_mut().poll(&mut cx).is_pending());
    directory.forget_user(9);
    assert_eq!(woken.times.load(Ordering::Relaxed), 4, "what is forgotten is to be loaded anew");
}
