//! The loader's side of the directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::api::Api;
use crate::hub::directory::{self, Chat, ChatNumber, Directory, Loaded, Member, Pair, User};
use crate::hub::{Micros, UserId};

/// `(id, username, revision, token_generation, deleted)`.
pub type UserRow = (UserId, String, i32, i32, bool);
/// `(user_id, may_post)`.
pub type MemberRow = (UserId, bool);
/// `(id, number, members)`.
pub type ChatRow = (String, ChatNumber, Vec<MemberRow>);

pub fn user((id, username, revision, token_generation, deleted): UserRow) -> User {
    User { id, username: username.into(), revision, token_generation, deleted }
}

pub fn chat((id, number, members): ChatRow) -> Chat {
    Chat::new(id.into(), number, members.into_iter().map(|(user, may_post)| Member { user, may_post }).collect())
}

#[pyclass(frozen, module = "pychat._core")]
pub struct LoadBatch {
    api: Arc<Api>,
    batch: directory::LoadBatch,
    is_answered: AtomicBool,
}

impl LoadBatch {
    pub fn new(api: Arc<Api>, batch: directory::LoadBatch) -> Self {
        Self { api, batch, is_answered: AtomicBool::new(false) }
    }

    /// Answers whoever waits: thousands, perhaps, so nobody else is kept from the GIL meanwhile.
    fn answer(&self, py: Python<'_>, answer: impl FnOnce(&Directory, Micros) + Send) {
        py.detach(|| answer(&self.api.hub.directory, self.api.clock.now()));
        // After that: had it panicked, `drop` would still have to answer.
        self.is_answered.store(true, Ordering::Relaxed);
    }
}

#[pymethods]
impl LoadBatch {
    #[getter]
    fn user_ids(&self) -> Vec<UserId> {
        self.batch.user_ids.clone()
    }

    #[getter]
    fn usernames(&self) -> Vec<&str> {
        self.batch.usernames.iter().map(|name| &**name).collect()
    }

    #[getter]
    fn chat_ids(&self) -> Vec<&str> {
        self.batch.chat_ids.iter().map(|id| &**id).collect()
    }

    #[getter]
    fn pairs(&self) -> Vec<Pair> {
        self.batch.pairs.clone()
    }

    fn resolve(
        &self,
        py: Python<'_>,
        users: Vec<UserRow>,
        chats: Vec<ChatRow>,
        private_chats: Vec<(Pair, ChatNumber)>,
    ) {
        self.answer(py, |directory, now| {
            let loaded = Loaded {
                users: users.into_iter().map(user).collect(),
                chats: chats.into_iter().map(chat).collect(),
                pairs: private_chats.into_iter().collect(),
            };
            directory.land(&self.batch, loaded, now);
        });
    }

    fn fail(&self, py: Python<'_>) {
        self.answer(py, |directory, now| directory.fail(&self.batch, now));
    }
}

impl Drop for LoadBatch {
    /// Whoever still waits for it is told. Where Python has ended nobody does.
    fn drop(&mut self) {
        if !*self.is_answered.get_mut() {
            Python::try_attach(|py| self.fail(py));
        }
    }
}
