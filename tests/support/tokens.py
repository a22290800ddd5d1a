"""Tokens made by the tests themselves, with the servers' signing key."""

import time
from typing import Any
from uuid import uuid4

import jwt

from tests.support.server import SIGNING_KEY


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def signed(claims: dict[str, Any], *, key: str = SIGNING_KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def forged(token: str, **changes: Any) -> str:
    """A well signed token with the claims of `token` but for `changes`; `None` leaves a claim out."""
    claims = claims_of(token) | {"jti": uuid4().hex} | changes
    return signed({name: value for name, value in claims.items() if value is not None})


def expired(token: str) -> str:
    now = int(time.time())
    return forged(token, iat=now - 3601, exp=now - 1)
