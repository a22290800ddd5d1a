//! Who sent a request.

use std::sync::Arc;

use super::refusal::Refusal;
use super::{Api, looked_up};
use crate::hub::Micros;
use crate::hub::directory::User;

impl Api {
    /// The user whose token the `Authorization` header carries, if it is good now.
    pub async fn identify(&self, authorization: Option<&str>, now: Micros) -> Result<Arc<User>, Refusal> {
        let token = self.verifier.verify(authorization, now).map_err(Refusal::Token)?;
        let user = looked_up(self.hub.directory.user(token.user, now)).await?;
        let user = user.filter(|user| !user.deleted).ok_or(Refusal::NoSuchUser)?;
        if user.token_generation != token.generation {
            return Err(Refusal::Token(super::token::TokenError::Revoked));
        }
        Ok(user)
    }
}
