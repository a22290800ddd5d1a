//! However much is sent while the database is stopped: the journal holds no more than it says, and gives it back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use pychat_core::hub::directory::{Chat, Member};
use pychat_core::hub::journal::{Accepted, Batch, MAX_BYTES, Post, Recipients, Refused};
use pychat_core::hub::message::Message;
use pychat_core::hub::{Hub, UserId};

/// Counts what is allocated, block by block as glibc rounds them.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

fn block(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

fn allocated(size: usize) {
    let held = HELD.fetch_add(block(size), Ordering::Relaxed) + block(size);
    MOST_HELD.fetch_max(held, Ordering::Relaxed);
}

fn freed(size: usize) {
    HELD.fetch_sub(block(size), Ordering::Relaxed);
}

// SAFETY: each call is passed on, unchanged, to the system's allocator, which keeps the trait's promises.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        freed(layout.size());
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // It may be copied.
        allocated(size);
        freed(layout.size());
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As long as a client id may be.
fn client_id(number: usize) -> String {
    format!("{number:064}")
}

fn post(sender: UserId, chat: &Arc<Chat>, text: &str, client_id: Option<&str>) -> Post {
    Post {
        is_stored: true,
        sender,
        chat: chat.number,
        to: Recipients::Members(Arc::clone(chat)),
        text: text.into(),
        message: Message::new("ann", text, 0),
        client_id: client_id.map(Arc::from),
    }
}

fn batch(hub: &Hub) -> Batch {
    match hub.journal.poll_batch(&Context::from_waker(Waker::noop()), 0) {
        Poll::Ready(batch) => batch,
        Poll::Pending => panic!("something has gathered"),
    }
}

/// Sends what `posts` has, until it is refused, while a batch is out that is never settled; and has it all fail then.
fn fill(hub: &Hub, what: &str, posts: impl Iterator<Item = Post>) {
    let mut waiting = Vec::with_capacity(1 << 19);
    let before = HELD.load(Ordering::Relaxed);
    MOST_HELD.store(before, Ordering::Relaxed);
    let mut out = None;
    for post in posts {
        match hub.journal.accept(post, usize::MAX, 0) {
            Ok(Accepted::Waiting(answer) | Accepted::Repeating(answer)) => waiting.push(answer),
            Err(Refused::Full) => break,
            other => panic!("{other:?}"),
        }
        out = out.or_else(|| Some(batch(hub)));
    }
    let most = MOST_HELD.load(Ordering::Relaxed) - before;
    println!("{what}: {} pending, {most} bytes held", waiting.len());
    assert!(waiting.len() < waiting.capacity(), "{what}: it is never full");
    assert!(most <= MAX_BYTES, "{what}: {most} bytes are held");
    assert!(most > MAX_BYTES / 2, "{what}: it is full with {most} bytes");
    hub.give_up(out.expect("there is one"));
    hub.give_up_gathered();
    waiting.clear();
    let left = HELD.load(Ordering::Relaxed).saturating_sub(before);
    assert!(left < MAX_BYTES / 32, "{what}: {left} bytes are left");
}

#[test]
fn what_is_pending_takes_no_more_than_the_bound() {
    let hub = Hub::default();
    hub.journal.open(0);
    let chat = Arc::new(Chat::new("pc:1".into(), 7, vec![Member { user: 1, may_post: true }]));
    let numbers = || 0..usize::MAX;
    fill(&hub, "tiny texts", numbers().map(|_| post(1, &chat, "x", None)));
    fill(&hub, "tiny texts, long client ids", numbers().map(|n| post(1, &chat, "x", Some(&client_id(n)))));
    fill(&hub, "many senders", numbers().map(|n| post(n as UserId, &chat, "x", Some("a"))));
    fill(&hub, "one client id", numbers().map(|_| post(1, &chat, "x", Some("a"))));
    fill(&hub, "each client id twice", numbers().map(|n| post(1, &chat, "x", Some(&client_id(n / 2)))));
    fill(&hub, "client ids again and again", numbers().map(|n| post(1, &chat, "x", Some(&client_id(n / 5)))));
    let largest = "\u{10ffff}".repeat(4_096);
    fill(&hub, "the largest texts", numbers().map(|n| post(1, &chat, &largest, Some(&client_id(n)))));
    let escaped = "\"".repeat(4_096);
    fill(&hub, "texts that are longer as JSON", numbers().map(|n| post(1, &chat, &escaped, Some(&client_id(n)))));
}
