//! Who sent a request.

use std::sync::Arc;

use super::refusal::Refusal;
use super::token::TokenError;
use super::{Api, looked_up};
use crate::hub::Micros;
use crate::hub::directory::User;

impl Api {
    /// The user whose token the `Authorization` header carries, if it is good now.
    pub async fn identify(&self, authorization: Option<&str>, now: Micros) -> Result<Arc<User>, Refusal> {
        let token = self.verifier.verify(authorization, now).map_err(Refusal::Token)?;
        let user = looked_up(self.hub.directory.user(token.user, now)).await?;
        let user = user.ok_or(Refusal::NoSuchUser)?;
        judge(&user, token.generation)?;
        Ok(user)
    }
}

/// Whether a token of this generation still speaks for its user.
pub(super) fn judge(user: &User, token_generation: i32) -> Result<(), Refusal> {
    if user.deleted {
        return Err(Refusal::NoSuchUser);
    }
    if user.token_generation != token_generation {
        return Err(Refusal::Token(TokenError::Revoked));
    }
    Ok(())
}
