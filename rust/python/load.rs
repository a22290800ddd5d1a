//! The loader's side of the directory.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::api::Api;
use crate::hub::UserId;
use crate::hub::directory::{self, Chat, ChatNumber, Loaded, Member, Pair, User};

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
}

impl LoadBatch {
    pub fn new(api: Arc<Api>, batch: directory::LoadBatch) -> Self {
        Self { api, batch }
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

    fn resolve(&self, users: Vec<UserRow>, chats: Vec<ChatRow>, private_chats: Vec<(Pair, ChatNumber)>) {
        let loaded = Loaded {
            users: users.into_iter().map(user).collect(),
            chats: chats.into_iter().map(chat).collect(),
            pairs: private_chats.into_iter().collect(),
        };
        self.api.hub.directory.land(&self.batch, loaded, self.api.clock.now());
    }

    fn fail(&self) {
        self.api.hub.directory.fail(&self.batch, self.api.clock.now());
    }
}

impl Drop for LoadBatch {
    /// Whoever still waits for it is told; a batch that was resolved has nobody left.
    fn drop(&mut self) {
        self.fail();
    }
}
