"""The tokens that we issue."""

import json
from base64 import urlsafe_b64decode

import jwt
from hypothesis import given
from hypothesis import strategies as st

from pychat.users import tokens

KEY = b"a key that only tests would use: 0123456789"


@given(
    user_id=st.integers(1, 2**63 - 1),
    generation=st.integers(0, 2**31 - 1),
    now=st.floats(0, 2**40),
    lifetime_sec=st.integers(1, 10**9),
)
def test_a_token_says_what_it_was_issued_for(user_id: int, generation: int, now: float, lifetime_sec: int) -> None:
    token = tokens.issue(user_id, generation, key=KEY, now=now, lifetime_sec=lifetime_sec)
    claims = jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert len(claims.pop("jti")) == 32
    assert claims == {
        "iss": "realtime-chat",
        "id": user_id,
        "iat": int(now),
        "exp": int(now) + lifetime_sec,
        "gen": generation,
    }


def test_the_header_names_the_algorithm_and_nothing_more() -> None:
    header = tokens.issue(1, 0, key=KEY, now=0, lifetime_sec=1).partition(".")[0]
    assert json.loads(urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}


def test_no_two_tokens_are_the_same() -> None:
    assert len({tokens.issue(1, 0, key=KEY, now=0, lifetime_sec=1) for _ in range(100)}) == 100
