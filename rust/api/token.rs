//! The one judge of access tokens.
//!
//! What it accepts, PyJWT accepts too (`tests/core/test_tokens.py` holds them together), and it is the stricter of the two:
//! exactly the header and claims that pychat issues, each of its exact type, base64 without padding, no leeway.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::object::Object;
use crate::hub::{Micros, UserId};

pub const ISSUER: &str = "realtime-chat";
/// RFC 7518, 3.2: a key at least as long as the hash.
const SHORTEST_KEY: usize = 32;
/// pychat's own tokens have about 300 bytes; a longer text is none of them.
const LONGEST_TOKEN: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    Missing,
    NotBearer,
    Invalid,
    Expired,
    /// From before the last change of the password.
    Revoked,
}

impl TokenError {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "The Authorization header is missing",
            Self::NotBearer => "The Authorization header is not of the form 'Bearer <token>'",
            Self::Invalid => "Invalid token",
            Self::Expired => "The token has expired",
            Self::Revoked => "The token was revoked",
        }
    }

    /// As `sentence`, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::NotBearer | Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
        }
    }
}

/// What a good token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub user: UserId,
    pub generation: i32,
}

#[derive(Debug, PartialEq, Eq)]
pub struct KeyTooShort;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(rename = "typ")]
    _type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    id: UserId,
    #[serde(rename = "jti")]
    _token_id: String,
    iat: i64,
    exp: i64,
    #[serde(rename = "gen")]
    generation: i32,
}

/// Tokens remembered as well signed: one each for 65,536 users, about 30 MB. Others are decoded each time.
const REMEMBERED: usize = 1 << 16;

/// And no longer than this: pychat's own are shorter.
const LONGEST_REMEMBERED: usize = 384;

/// A remembered token's text. It lies within the cache and not in a block of its own: blocks that stay for hours among
/// those of sessions would keep the sessions' memory from being given back when they have gone.
struct Text {
    length: usize,
    bytes: [u8; LONGEST_REMEMBERED],
}

impl Text {
    /// `None` where it is too long.
    fn new(token: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST_REMEMBERED];
        bytes.get_mut(..token.len())?.copy_from_slice(token.as_bytes());
        Some(Self { length: token.len(), bytes })
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}

impl Eq for Text {}

/// A well-signed token's content; whether it is good now is asked each time.
#[derive(Clone, Copy)]
struct Signed {
    token: Token,
    issued: i64,
    expires: i64,
}

pub struct Verifier {
    key: DecodingKey,
    /// By the whole token, signature included, so that nothing unsigned can be found in it.
    seen: Cache<Text, Signed>,
}

impl Verifier {
    pub fn new(key: &[u8]) -> Result<Self, KeyTooShort> {
        if key.len() < SHORTEST_KEY {
            return Err(KeyTooShort);
        }
        Ok(Self { key: DecodingKey::from_secret(key), seen: Cache::new(REMEMBERED) })
    }

    /// Judges an `Authorization` header's token at `now`. Whether its user exists and has not changed the password since
    /// is for the directory to say.
    pub fn verify(&self, authorization: Option<&str>, now: Micros) -> Result<Token, TokenError> {
        let (scheme, token) =
            authorization.ok_or(TokenError::Missing)?.trim().split_once(' ').ok_or(TokenError::NotBearer)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::NotBearer);
        }
        let token = token.trim_start();
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        let signed = match self.seen.get(token.as_bytes()) {
            Some(signed) => signed,
            None => {
                let signed = self.decode(token)?;
                if let Some(text) = Text::new(token) {
                    self.seen.insert(text, signed);
                }
                signed
            }
        };
        let now = now.div_euclid(1_000_000);
        if signed.issued > now {
            return Err(TokenError::Invalid);
        }
        if signed.expires <= now {
            return Err(TokenError::Expired);
        }
        Ok(signed.token)
    }

    /// Checks all of a token that does not depend on the time.
    fn decode(&self, token: &str) -> Result<Signed, TokenError> {
        let invalid = TokenError::Invalid;
        let (signed, signature) = token.rsplit_once('.').ok_or(invalid)?;
        let (header, claims) = signed.split_once('.').ok_or(invalid)?;
        // jsonwebtoken compares in constant time.
        if !crypto::verify(signature, signed.as_bytes(), &self.key, Algorithm::HS256).unwrap_or(false) {
            return Err(invalid);
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| invalid)?;
        let Object(header): Object<Header> = serde_json::from_slice(&header).map_err(|_| invalid)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| invalid)?;
        let Object(claims): Object<Claims> = serde_json::from_slice(&claims).map_err(|_| invalid)?;
        if header.alg != "HS256" || claims.iss != ISSUER {
            return Err(invalid);
        }
        let token = Token { user: claims.id, generation: claims.generation };
        Ok(Signed { token, issued: claims.iat, expires: claims.exp })
    }
}
