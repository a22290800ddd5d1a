//! A message to many sessions is held in memory once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pychat_core::hub::Hub;
use pychat_core::hub::message::Message;
use pychat_core::hub::settings::Settings;

const SESSIONS: usize = 1_000;
const TEXT: usize = 4_000;

/// Counts allocations (and growths) large enough to hold the text.
struct CountingLarge;

static LARGE: AtomicUsize = AtomicUsize::new(0);

fn count(size: usize) {
    if size >= TEXT {
        LARGE.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: each call is passed on, unchanged, to the system's allocator, which keeps the trait's promises.
unsafe impl GlobalAlloc for CountingLarge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingLarge = CountingLarge;

#[test]
fn a_message_to_a_thousand_sessions_is_allocated_once() {
    let hub = Hub::default();
    hub.apply(Settings { max_sessions_amount: SESSIONS, ..Settings::default() });
    let sessions: Vec<_> = (0..SESSIONS).map(|_| hub.open(1, 0).expect("there is room")).collect();
    let text = "x".repeat(TEXT);

    let before = LARGE.load(Ordering::Relaxed);
    let delivery = hub.deliver(&Message::new("ann", &text, 0), [1]);
    let during = LARGE.load(Ordering::Relaxed) - before;

    assert_eq!((delivery.accepted, delivery.refused), (SESSIONS, 0));
    assert!(sessions.iter().all(|session| session.waiting() == 1));
    assert_eq!(during, 1);
}
