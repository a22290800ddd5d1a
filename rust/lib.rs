//! The data plane of pychat. Read in this order: `structures` (maps and queues), `hub` (who is online and what waits for
//! them), `api` (what each hot route means), `edge` (HTTP), `python` (the module `pychat._core`). Dependencies point the other way.

pub mod api;
pub mod edge;
pub mod hub;
pub mod process;
mod python;
pub mod signals;
pub mod structures;
mod sync;
