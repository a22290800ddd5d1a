//! The concurrent core under loom, which runs each model in every order of its threads' steps that matters (up to
//! `PREEMPTIONS` forced switches) and with every value that a relaxed load may see. In less than a minute:
//!
//!     cargo test --features models --test models
//!
//! A model is a few threads' calls and what must be true afterwards, whatever the order was. Broken, some of them abort
//! rather than fail: loom stops the threads by a panic, which then meets a destructor. Before a change of the session
//! is merged, `LOOM_MAX_PREEMPTIONS=5` is worth its minutes.

mod hub;
mod journal;
mod mpsc_queue;
mod rcu_map;
mod session;
mod sharded_map;

use loom::thread;

/// Races found in practice need one or two; three leaves a margin and still ends within seconds a model.
const PREEMPTIONS: usize = 3;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(model);
}

/// With one forced switch less: for models of more threads.
fn check_briefly(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(PREEMPTIONS) - 1);
    builder.check(model);
}

/// Runs both at the same time and returns what they returned.
fn both<A: 'static, B>(here: impl FnOnce() -> B, there: impl FnOnce() -> A + 'static) -> (A, B) {
    let there = thread::spawn(there);
    let here = here();
    (there.join().expect("a panic ends the model before"), here)
}
