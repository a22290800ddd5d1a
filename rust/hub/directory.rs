//! Who exists and who is in which chat: what the hot routes must know of the database, in bounded memory.
//!
//! # Idea
//!
//! Four look-ups (`lookup.rs`): users by id, their ids by name, chats, and private chats by their two. What they lack
//! is asked for by the batch, of all four kinds in one query, by one loader that knows the database; whoever asked
//! waits for it and for nothing else. Whoever commits a change puts it in, so what is known is what is committed.
//!
//! # Invariants
//!
//! - Of two rows of one user the one with the later revision stays, whichever comes last.
//! - A name's entry may be out of date, since a renaming names only the new one. So it counts only if its user still
//!   has the name, else it is loaded anew.
//! - Each batch is landed or failed once, and with it all that it asked for: nobody waits for a batch that is over.
//! - Nothing is asked for that Postgres would refuse (`could_exist`), which would spoil its whole batch.
//!
//! # Orderings
//!
//! The look-ups' locks. They are independent: a user and its name are not put in at one instant, which the second
//! invariant allows for. A flight stands before `wanted` is notified, and `next_batch` looks before it waits; `Notify`
//! keeps one notice for who is not waiting yet, so none is missed. `batches` only numbers (relaxed).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use quick_cache::{UnitWeighter, Weighter};
use tokio::sync::Notify;

use super::lookup::{Asked, Found, Known, Lookup, Unavailable};
use super::{Micros, UserId};

/// Users (and names) kept: over twice the default bound of users online, about 50 MB when full.
const USERS: usize = 1 << 18;
/// Chats kept, in members of all of them together: about 64 MB when full.
const CHAT_MEMBERS: u64 = 1 << 22;
const CHATS: usize = 1 << 18;
/// Keys a batch: one query's worth that Postgres answers within some milliseconds.
const BATCH: usize = 1_000;
/// The longest name or chat id there can be.
const LONGEST_KEY: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: Box<str>,
    /// Grows with every change of the row.
    pub revision: i32,
    /// Tokens of other generations are void: it grows with every change of the password.
    pub token_generation: i32,
    pub deleted: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Chat {
    pub id: Box<str>,
    /// The key that its messages carry in the database.
    pub number: ChatNumber,
    /// Sorted by user.
    members: Box<[Member]>,
}

pub type ChatNumber = i64;

/// Two users, who may be one, the lower id first.
pub type Pair = (UserId, UserId);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub user: UserId,
    pub may_post: bool,
}

impl Chat {
    pub fn new(id: Box<str>, number: ChatNumber, mut members: Vec<Member>) -> Self {
        members.sort_unstable_by_key(|member| member.user);
        Self { id, number, members: members.into_boxed_slice() }
    }

    pub fn members(&self) -> impl Iterator<Item = UserId> {
        self.members.iter().map(|member| member.user)
    }

    pub fn member(&self, user: UserId) -> Option<Member> {
        let place = self.members.binary_search_by_key(&user, |member| member.user).ok()?;
        Some(self.members[place])
    }
}

#[derive(Clone)]
struct ByMembers;

impl Weighter<Box<str>, Known<Arc<Chat>>> for ByMembers {
    fn weight(&self, _: &Box<str>, chat: &Known<Arc<Chat>>) -> u64 {
        // Eight members' worth for the entry itself.
        match chat {
            Known::Present(chat) => 8 + chat.members.len() as u64,
            Known::AbsentUntil(_) => 8,
        }
    }
}

/// What one query of the loader is to answer.
#[derive(Debug)]
pub struct LoadBatch {
    number: u64,
    pub user_ids: Vec<UserId>,
    pub usernames: Vec<Box<str>>,
    pub chat_ids: Vec<Box<str>>,
    /// Whose private chats are wanted; those that are missing are to be made.
    pub pairs: Vec<Pair>,
}

/// What the database has of it.
#[derive(Debug, Default)]
pub struct Loaded {
    pub users: Vec<User>,
    pub chats: Vec<Chat>,
    pub pairs: HashMap<Pair, ChatNumber>,
}

pub struct Directory {
    users: Lookup<UserId, Arc<User>, UnitWeighter>,
    /// A name's user. Whoever finds one checks that it still has the name.
    names: Lookup<Box<str>, UserId, UnitWeighter>,
    chats: Lookup<Box<str>, Arc<Chat>, ByMembers>,
    /// Private chats by their two: all that a message in the older dialect needs of one.
    pairs: Lookup<Pair, ChatNumber, UnitWeighter>,
    batches: AtomicU64,
    wanted: Notify,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            users: Lookup::new(USERS, USERS as u64, UnitWeighter),
            names: Lookup::new(USERS, USERS as u64, UnitWeighter),
            chats: Lookup::new(CHATS, CHAT_MEMBERS, ByMembers),
            pairs: Lookup::new(CHATS, CHATS as u64, UnitWeighter),
            batches: AtomicU64::new(0),
            wanted: Notify::new(),
        }
    }
}

impl Directory {
    /// The user with this id, deleted ones included.
    pub async fn user(&self, id: UserId, now: Micros) -> Found<Arc<User>> {
        if let Some(known) = self.users.known(&id, now) {
            return Ok(known);
        }
        landed(self.users.ask(id, now, || self.wanted.notify_one())?).await
    }

    /// The user, if at hand.
    pub fn known_user(&self, id: UserId, now: Micros) -> Option<Arc<User>> {
        self.users.known(&id, now).flatten()
    }

    /// The user who has this name now, which is lowercase; nobody has a deleted user's.
    pub async fn user_named(&self, name: &str, now: Micros) -> Found<Arc<User>> {
        if !could_exist(name) {
            return Ok(None);
        }
        // Twice: what is known of the name may be out of date, what is loaded now is not.
        for _ in 0..2 {
            let known = match self.names.known(name, now) {
                Some(known) => known,
                None => landed(self.names.ask(name.into(), now, || self.wanted.notify_one())?).await?,
            };
            let Some(id) = known else { return Ok(None) };
            match self.user(id, now).await? {
                Some(user) if *user.username == *name => return Ok(Some(user).filter(|user| !user.deleted)),
                _ => self.names.forget(name, || self.wanted.notify_one()),
            }
        }
        Ok(None)
    }

    /// What is known of the chat: `None` nothing, `Some(None)` that there is none.
    pub fn known_chat(&self, id: &str, now: Micros) -> Option<Option<Arc<Chat>>> {
        self.chats.known(id, now)
    }

    /// Has those of the chats loaded that are not at hand, all at once; `None` where all are.
    pub fn load_chats<'a>(&self, ids: impl Iterator<Item = &'a str>, now: Micros) -> Option<impl Future<Output = ()>> {
        let lacking = ids.filter(|id| self.chats.known(*id, now).is_none());
        // What cannot be asked for now, or not be had, is not known afterwards.
        let asked = lacking.flat_map(|id| self.chats.ask(id.into(), now, || self.wanted.notify_one()));
        let asked: Vec<_> = asked.collect();
        (!asked.is_empty()).then_some(async {
            for chat in asked {
                let _ = landed(chat).await;
            }
        })
    }

    pub async fn chat(&self, id: &str, now: Micros) -> Found<Arc<Chat>> {
        if !could_exist(id) {
            return Ok(None);
        }
        if let Some(known) = self.chats.known(id, now) {
            return Ok(known);
        }
        landed(self.chats.ask(id.into(), now, || self.wanted.notify_one())?).await
    }

    /// The private chat of these two, which is made where there is none.
    pub async fn private_chat(&self, one: UserId, other: UserId, now: Micros) -> Found<ChatNumber> {
        let pair = (one.min(other), one.max(other));
        if let Some(known) = self.pairs.known(&pair, now) {
            return Ok(known);
        }
        landed(self.pairs.ask(pair, now, || self.wanted.notify_one())?).await
    }

    /// Waits until something is lacking. Taken by one loader at a time; each batch must be landed or failed.
    pub async fn next_batch(&self) -> LoadBatch {
        loop {
            let number = self.batches.fetch_add(1, Ordering::Relaxed);
            let user_ids = self.users.take(number, BATCH);
            let usernames = self.names.take(number, BATCH - user_ids.len());
            let chat_ids = self.chats.take(number, BATCH - user_ids.len() - usernames.len());
            let pairs = self.pairs.take(number, BATCH - user_ids.len() - usernames.len() - chat_ids.len());
            let taken = user_ids.len() + usernames.len() + chat_ids.len() + pairs.len();
            if taken == BATCH {
                // There may be more than fits.
                self.wanted.notify_one();
            }
            if taken > 0 {
                return LoadBatch { number, user_ids, usernames, chat_ids, pairs };
            }
            self.wanted.notified().await;
        }
    }

    /// Answers a batch: what was asked and is not among the rows does not exist.
    pub fn land(&self, batch: &LoadBatch, loaded: Loaded, now: Micros) {
        let Loaded { users, chats, pairs } = loaded;
        let by_id: HashMap<UserId, Arc<User>> = users.into_iter().map(|user| (user.id, Arc::new(user))).collect();
        let chats: HashMap<Box<str>, Arc<Chat>> =
            chats.into_iter().map(|chat| (chat.id.clone(), Arc::new(chat))).collect();
        let by_name: HashMap<&str, UserId> = by_id.values().map(|user| (&*user.username, user.id)).collect();
        self.users.land(batch.number, now, |id| Ok(by_id.get(id).cloned()));
        self.names.land(batch.number, now, |name| Ok(by_name.get(&**name).copied()));
        self.chats.land(batch.number, now, |id| Ok(chats.get(id).cloned()));
        self.pairs.land(batch.number, now, |pair| Ok(pairs.get(pair).copied()));
    }

    /// The batch could not be answered.
    pub fn fail(&self, batch: &LoadBatch, now: Micros) {
        self.users.land(batch.number, now, |_| Err(Unavailable));
        self.names.land(batch.number, now, |_| Err(Unavailable));
        self.chats.land(batch.number, now, |_| Err(Unavailable));
        self.pairs.land(batch.number, now, |_| Err(Unavailable));
    }

    /// Stores a committed user row, unless a later one is known.
    pub fn put_user(&self, user: User) {
        self.names.put(user.username.clone(), user.id, |_| false);
        let revision = user.revision;
        self.users.put(user.id, Arc::new(user), |known| known.revision > revision);
    }

    /// Has the user loaded again by the next who asks: it is not known whether a change was committed.
    pub fn forget_user(&self, id: UserId) {
        self.users.forget(&id, || self.wanted.notify_one());
    }

    /// Stores a committed chat.
    pub fn put_chat(&self, chat: Chat) {
        self.chats.put(chat.id.clone(), Arc::new(chat), |_| false);
    }
}

/// Whether a name or chat id could be in the database at all. What could not is never asked for, so nothing that
/// Postgres refuses (a NUL, say) can spoil the batch it is in.
fn could_exist(key: &str) -> bool {
    key.len() <= LONGEST_KEY && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte))
}

async fn landed<V>(asked: Asked<V>) -> Found<V> {
    match asked {
        Asked::Known(value) => Ok(value),
        Asked::Waiting(answer) => answer.await.unwrap_or(Err(Unavailable)),
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
