"""Issuing access tokens. `rust/api/token.rs` judges them."""

from uuid import uuid4

import jwt

ISSUER = "realtime-chat"


def issue(user_id: int, generation: int, *, key: bytes, now: float, lifetime_sec: int) -> str:
    """A token for `user_id` that is valid from `now`, Unix time in seconds, for `lifetime_sec`.

    `generation` is the user's count of password changes: a token of an earlier one is refused.
    """
    issued_at = int(now)
    claims = {
        "iss": ISSUER,
        "id": user_id,
        "jti": uuid4().hex,
        "iat": issued_at,
        "exp": issued_at + lifetime_sec,
        "gen": generation,
    }
    return jwt.encode(claims, key, algorithm="HS256")
