//! What a request has to have a place for: the application, which answers so many at a time, and the memory of a long body
//! and of a long answer.

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
/// Bytes of the application's answers that may be held for clients that are slow to take them.
const UNREAD: usize = 64 * 1024 * 1024;
/// And for one client: five of the longest answers.
const UNREAD_OF_ADDRESS: usize = UNREAD / 4;
/// An answer up to this needs no room. The system takes several as long for a client that reads nothing; what is too much
/// for it is one a connection.
const SMALL_ANSWER: usize = 16 * 1024;

pub struct Places {
    under_way: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    operators: Arc<Semaphore>,
    of_address: Arc<Addresses>,
    long_bodies: Arc<Semaphore>,
    unread: Arc<Semaphore>,
    unread_of_address: Arc<Addresses>,
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

/// Room for an answer until its client has taken it; given back when dropped.
pub struct UnreadRoom {
    _bytes: Option<(OwnedSemaphorePermit, Place)>,
}

impl Places {
    pub fn new() -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self {
            under_way: semaphore(UNDER_WAY),
            turns: semaphore(AT_A_TIME),
            operators: semaphore(OPERATORS),
            of_address: Arc::new(Addresses::new(OF_ADDRESS)),
            long_bodies: semaphore(LONG_BODIES),
            unread: semaphore(UNREAD),
            unread_of_address: Arc::new(Addresses::new(UNREAD_OF_ADDRESS)),
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

    /// Room for an answer of so many bytes to this client, if there is some. Operators need none: they have few connections.
    pub fn unread_room(&self, door: Door, client: IpAddr, size: usize) -> Option<UnreadRoom> {
        if door == Door::Monitor || size <= SMALL_ANSWER {
            return Some(UnreadRoom { _bytes: None });
        }
        // One that were longer than that would take all of it.
        let size = size.min(UNREAD_OF_ADDRESS);
        let of_address = self.unread_of_address.take(client, size)?;
        let bytes = Arc::clone(&self.unread).try_acquire_many_owned(size as u32).ok()?;
        Some(UnreadRoom { _bytes: Some((bytes, of_address)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn unread_answers_are_bounded_in_bytes() {
        let places = Places::new();
        let page = 1024 * 1024;
        let room = |number| places.unread_room(Door::Public, client(number), page);
        let of_one: Vec<_> = std::iter::from_fn(|| room(1)).collect();
        assert_eq!(of_one.len() * page, UNREAD_OF_ADDRESS);
        let of_all: Vec<_> = (2..=255).flat_map(|number| std::iter::from_fn(move || room(number))).collect();
        assert_eq!((of_one.len() + of_all.len()) * page, UNREAD);
        // Who asks for little, and who operates the server, is served.
        assert!(places.unread_room(Door::Public, client(1), SMALL_ANSWER).is_some());
        assert!(places.unread_room(Door::Monitor, client(1), page).is_some());
        drop(of_one);
        assert!(places.unread_room(Door::Public, client(1), usize::MAX).is_some(), "alone the longest has room");
    }
}
