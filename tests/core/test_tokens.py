"""Tokens mutated at random: whatever our verifier accepts PyJWT accepts as well."""

import asyncio
import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pychat._core import ApiError, Core
from pychat.users import tokens

KEY = b"a key that only tests would use: 0123456789"
USER_ID = 7
LIFETIME_SEC = 3600
NOW = 2_000_000_000  # always: what Hypothesis draws must not change with the time
CLAIMS = ("iss", "id", "jti", "iat", "exp", "gen")


class Verifier:
    """Ours, with everybody known to it, and PyJWT's."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._core = Core(signing_key=KEY)
        self._core.put_user(USER_ID, "somebody", 0, 0, False)

    def close(self) -> None:
        self._runner.close()

    def judge(self, token: str) -> tuple[bool, bool]:
        """Whether we accept the token, and whether PyJWT does, both at `NOW`."""
        while True:
            self._core.set_clock_offset(NOW + 0.1 - time.time())
            ours = self._runner.run(self._accepts(token))
            if int(self._core.now()) == NOW:
                return ours, pyjwt_accepts(token)

    async def _accepts(self, token: str) -> bool:
        loader = asyncio.create_task(self._load_anybody())
        try:
            await self._core.authenticate(f"Bearer {token}")
            return True
        except ApiError:
            return False
        finally:
            loader.cancel()
            with suppress(asyncio.CancelledError):
                await loader

    async def _load_anybody(self) -> None:
        while True:
            batch = await self._core.next_load()
            batch.resolve([(user_id, f"user{user_id}", 0, 0, False) for user_id in batch.user_ids], [], [])


def pyjwt_accepts(token: str) -> bool:
    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Now":
            return cls.fromtimestamp(NOW, tz or UTC)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jwt.api_jwt.datetime", Now)
        try:
            # Whitespace around a header's value is not part of it.
            jwt.decode(
                token.strip(), KEY, algorithms=["HS256"], issuer="realtime-chat", options={"require": list(CLAIMS)}
            )
        except jwt.PyJWTError:
            return False
    return True


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    made = Verifier()
    yield made
    made.close()


def good_token() -> str:
    return tokens.issue(USER_ID, 0, key=KEY, now=NOW, lifetime_sec=LIFETIME_SEC)


def test_a_token_of_ours_is_accepted_by_both(verifier: Verifier) -> None:
    assert verifier.judge(good_token()) == (True, True)


@settings(max_examples=300)
@given(st.data())
def test_a_token_with_any_bytes_changed(verifier: Verifier, data: st.DataObject) -> None:
    token = good_token()
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        start = data.draw(st.integers(0, len(token)), "start")
        end = data.draw(st.integers(start, min(start + 3, len(token))), "end")
        token = token[:start] + data.draw(st.text(LATIN_1 | LIKELY, max_size=3), "instead") + token[end:]
    accepted, by_pyjwt = verifier.judge(token)
    assert by_pyjwt or not accepted


# The parts of a header are bytes, which ASGI's servers hand on as Latin-1.
LATIN_1 = st.characters(codec="latin-1")
LIKELY = st.sampled_from(".=-_+/ \t\nAa0")

# One member of a JSON object, or one item of an array: its key and its value, both as JSON text.
Member = tuple[str, str]


@dataclass(frozen=True)
class Form:
    """How a signed part is written; the default is how it should be."""

    shape: str = "object"  # array, object in an array
    space: str = ""  # wherever JSON allows it
    padded: bool = False
    standard_alphabet: bool = False

    def encoded(self, members: list[Member]) -> str:
        if self.shape == "array":
            written = "[" + ",".join(value for _, value in members) + "]"
        else:
            written = "{" + ",".join(f"{key}:{self.space}{value}" for key, value in members) + "}"
        if self.shape == "object in an array":
            written = f"[{written}]"
        encode = b64encode if self.standard_alphabet else urlsafe_b64encode
        text = encode(f"{self.space}{written}{self.space}".encode()).decode()
        return text if self.padded else text.rstrip("=")


def signed(header: str, claims: str, algorithm: str = "sha256") -> str:
    signature = hmac.digest(KEY, f"{header}.{claims}".encode(), algorithm)
    return f"{header}.{claims}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def good_header() -> list[Member]:
    return [('"alg"', '"HS256"'), ('"typ"', '"JWT"')]


def good_claims() -> list[Member]:
    values = ("realtime-chat", USER_ID, "0123456789abcdef", NOW, NOW + LIFETIME_SEC, 0)
    return [(json.dumps(name), json.dumps(value)) for name, value in zip(CLAIMS, values, strict=True)]


def json_values() -> st.SearchStrategy[str]:
    numbers = st.integers(NOW - 2, NOW + 2) | st.integers() | st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, 10**400])
    texts = st.sampled_from(["realtime-chat", "HS256", "HS512", "none", "JWT", str(NOW), "true"]) | st.text()
    leaves = st.none() | st.booleans() | numbers | st.floats() | texts
    nested = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=4)
    # Python writes NaN and Infinity, which are no JSON, and Python reads them.
    written = nested.map(json.dumps) | st.integers(NOW, NOW + 9).map(lambda number: f"{number}.0")
    return written | st.sampled_from(["1e3", "-0", "0x10", "01", "1_000", "+1", '"\\ud800"', '"a\\u0000"', ""])


@st.composite
def changed(draw: st.DrawFn, members: list[Member], values: st.SearchStrategy[str]) -> list[Member]:
    """`members` with some of them missing, doubled, of another value, of another name, in another order, or more."""
    members = list(members)
    for _ in range(draw(st.integers(0, 2))):
        index = draw(st.integers(0, len(members) - 1)) if members else 0
        match draw(st.sampled_from(["value", "drop", "double", "add", "rename", "shuffle"])):
            case "value" if members:
                members[index] = (members[index][0], draw(values))
            case "drop" if members:
                del members[index]
            case "double" if members:
                members.insert(draw(st.integers(0, len(members))), (members[index][0], draw(values)))
            case "rename" if members:
                members[index] = (members[index][0].upper(), members[index][1])
            case "shuffle":
                members = draw(st.permutations(members))
            case _:
                key = draw(st.sampled_from(["sub", "nbf", "aud", "crit", "kid", "b64", "zip"]) | st.text())
                members.append((json.dumps(key), draw(values)))
    return members


FORMS = st.just(Form()) | st.builds(
    Form,
    shape=st.sampled_from(["object", "array", "object in an array"]),
    space=st.sampled_from(["", " ", "\t\r\n", "\v", "\ufeff", "\0", "\u00a0"]),
    padded=st.booleans(),
    standard_alphabet=st.booleans(),
)


@settings(max_examples=500)
@given(st.data(), FORMS, FORMS, st.sampled_from(["sha256", "sha256", "sha256", "sha384", "sha512"]))
def test_a_token_signed_with_other_contents(
    verifier: Verifier, data: st.DataObject, header_form: Form, claims_form: Form, algorithm: str
) -> None:
    values = json_values()
    header = header_form.encoded(data.draw(changed(good_header(), values), "header"))
    claims = claims_form.encoded(data.draw(changed(good_claims(), values), "claims"))
    accepted, by_pyjwt = verifier.judge(signed(header, claims, algorithm))
    assert by_pyjwt or not accepted


@given(FORMS, FORMS)
@example(Form("array"), Form())
@example(Form(), Form("array"))
@example(Form(padded=True), Form(padded=True))
@example(Form(space=" "), Form(space="\t\r\n"))
def test_a_token_of_the_right_contents_in_another_form(
    verifier: Verifier, header_form: Form, claims_form: Form
) -> None:
    token = signed(header_form.encoded(good_header()), claims_form.encoded(good_claims()))
    accepted, by_pyjwt = verifier.judge(token)
    assert by_pyjwt or not accepted
    assert accepted or (header_form, claims_form) != (Form(), Form())


@given(iat=st.integers(-3, 3), exp=st.integers(-3, 3))
def test_the_seconds_around_its_beginning_and_its_end(verifier: Verifier, iat: int, exp: int) -> None:
    claims = [
        *good_claims()[:3],
        ('"iat"', str(NOW + iat)),
        ('"exp"', str(NOW + exp)),
        ('"gen"', "0"),
    ]
    accepted, by_pyjwt = verifier.judge(signed(Form().encoded(good_header()), Form().encoded(claims)))
    assert accepted == by_pyjwt
