//! Concurrent building blocks that know nothing of chat. Each file has its property tests; `rust/tests/models` runs its
//! races in every order, `benches/structures` measures it.

mod mpsc_queue;
mod rcu_map;
mod sharded_map;

pub use mpsc_queue::{Full, MpscQueue};
pub use rcu_map::{InsertError, RcuMap, with_one_more};
pub use sharded_map::ShardedMap;
