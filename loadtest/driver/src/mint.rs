//! Tokens that the server has not seen before. Of one that it has seen it remembers that it was well signed.

use std::cell::Cell;

use anyhow::{Context, Result};
use hyper::header::HeaderValue;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value};

use crate::v1::User;

/// The variable that holds the key, here and in the server.
const KEY: &str = "PYCHAT_AUTH__SIGNING_KEY";

/// Signs one user's tokens as the server would.
pub struct Mint {
    key: EncodingKey,
    claims: Map<String, Value>,
    token_id: String,
    made: Cell<u64>,
}

impl Mint {
    /// By the key in the environment.
    pub fn new(user: &User) -> Result<Self> {
        let key = std::env::var(KEY).with_context(|| format!("--cold-tokens needs the server's {KEY}"))?;
        Self::with_key(user, &key)
    }

    /// Takes the claims from the token that the server gave.
    fn with_key(user: &User, key: &str) -> Result<Self> {
        let token = user.authorization.to_str()?.strip_prefix("Bearer ").context("a bearer token")?;
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(
            token,
            &DecodingKey::from_secret(key.as_bytes()),
            &Validation::default(),
        );
        let claims = decoded.with_context(|| format!("{KEY} is not what the server signs with"))?.claims;
        let token_id = claims.get("jti").and_then(Value::as_str).context("a token without an id")?.to_owned();
        Ok(Self { key: EncodingKey::from_secret(key.as_bytes()), claims, token_id, made: Cell::new(0) })
    }

    /// An `Authorization` header with a token of the same claims, but for its id.
    pub fn authorization(&self) -> Result<HeaderValue> {
        self.made.set(self.made.get() + 1);
        let mut claims = self.claims.clone();
        claims.insert("jti".to_owned(), format!("{}-{}", self.token_id, self.made.get()).into());
        let token = jsonwebtoken::encode(&Header::default(), &claims, &self.key)?;
        Ok(HeaderValue::try_from(format!("Bearer {token}"))?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "the key of a test, long enough to sign with: 0123456789";

    fn user() -> User {
        let claims = json!({"iss": "realtime-chat", "id": 7, "jti": "one", "iat": 1, "exp": 1u64 << 40, "gen": 2});
        let token =
            jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(OWN.as_bytes())).unwrap();
        User { name: "u".to_owned(), authorization: HeaderValue::try_from(format!("Bearer {token}")).unwrap() }
    }

    #[test]
    fn each_token_has_an_id_of_its_own_and_the_other_claims() {
        let user = user();
        let mint = Mint::with_key(&user, OWN).unwrap();
        let mut ids = vec![Mint::with_key(&user, OWN).unwrap().token_id];
        for _ in 0..2 {
            let authorization = mint.authorization().unwrap();
            // Whose claims are read back, by the same key.
            let again = Mint::with_key(&User { name: String::new(), authorization }, OWN).unwrap();
            assert_eq!(again.claims["id"], 7);
            assert_eq!(again.claims["gen"], 2);
            ids.push(again.token_id);
        }
        assert_eq!(ids, ["one", "one-1", "one-2"]);
    }

    #[test]
    fn another_key_than_the_servers_is_told() {
        let error = Mint::with_key(&user(), "another key, as long as the one of the test: 0123456789").err().unwrap();
        assert!(error.to_string().contains("is not what the server signs with"), "{error}");
    }
}
