//! What a request has to have a place for: the application, which answers so many at a time, and the memory of a long body.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::address::{Addresses, Place};
use super::listener::Door;

/// Requests that may be under way. The application answers some 2,000 a second, so that the last of them waits for a
/// quarter of a second. More are refused at once.
const UNDER_WAY: usize = 500;
/// And how many of them the application has at a time; the others wait for their turn here, where it costs little. Far
/// more than it can do at once, and with hundreds each takes it half as long again.
const AT_A_TIME: usize = 64;
/// As long as the database has for a query. Who waits for longer is refused: where all queries take that long, the last
/// would wait for many times as long.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// And how many of one client's, so that none alone can shut all others out: places are kept until the application has
/// answered, also for who has left.
const OF_ADDRESS: usize = UNDER_WAY / 2;
/// Operators have places of their own, and get in when nobody else does.
const OPERATORS: usize = 50;
/// Bodies of more than `SMALL_BODY` bytes that may be held at a time, by all connections: 64 MB of the longest.
const LONG_BODIES: usize = 1_000;
/// As much as a connection's own buffer holds.
pub const SMALL_BODY: usize = 8 * 1024;

pub struct Places {
    under_way: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    operators: Arc<Semaphore>,
    of_address: Arc<Addresses>,
    long_bodies: Arc<Semaphore>,
}

/// Given back when dropped.
pub struct UnderWay {
    _place: OwnedSemaphorePermit,
    _of_address: Option<Place>,
}

/// One of those that the application has at a time; given back when dropped.
pub type Turn = OwnedSemaphorePermit;

/// Room for a long body; given back when dropped.
pub type Room = OwnedSemaphorePermit;

impl Places {
    pub fn new() -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self {
            under_way: semaphore(UNDER_WAY),
            turns: semaphore(AT_A_TIME),
            operators: semaphore(OPERATORS),
            of_address: Arc::new(Addresses::new(OF_ADDRESS)),
            long_bodies: semaphore(LONG_BODIES),
        }
    }

    /// A place for one more request of this client's, if there is one.
    pub fn enter(&self, door: Door, client: IpAddr) -> Option<UnderWay> {
        let (places, of_address) = match door {
            Door::Public => (&self.under_way, Some(self.of_address.enter(client)?)),
            Door::Monitor => (&self.operators, None),
        };
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        Some(UnderWay { _place: place, _of_address: of_address })
    }

    /// Waits for the turn of a request that has its place, in the order of arrival; for `TURN_WITHIN` at most. Called for
    /// those alone that the application can answer at once.
    pub async fn turn(&self) -> Option<Turn> {
        timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await.ok()?.ok()
    }

    /// Room for one more long body, if there is some.
    pub fn room(&self) -> Option<Room> {
        Arc::clone(&self.long_bodies).try_acquire_owned().ok()
    }
}
