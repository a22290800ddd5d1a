"""Reading bodies: whatever comes, fields or a refusal."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar.types import Receive
from msgspec import UNSET, Struct, UnsetType

from pychat.errors import Refused
from pychat.requests import MAX_BODY_BYTES, RuleBroken, parse_fields, read_body
from pychat.unread_bodies import MAX_TAKEN_BYTES


class Inner(Struct):
    name: str
    age: int = 0
    note: str | UnsetType = UNSET


class Outer(Struct):
    inner: Inner


def sends(*chunks: bytes, then: str = "end") -> Receive:
    """A client that sends these chunks, and ends its body or leaves."""
    events: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if then == "end":
        events.append({"type": "http.request", "body": b"", "more_body": False})
    events.append({"type": "http.disconnect"})
    remaining = iter(events)

    async def receive() -> Any:
        return next(remaining)

    return receive


def refusal(body: bytes, **options: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        parse_fields(body, Outer, **options)
    return refused.value


async def test_a_body_comes_in_pieces() -> None:
    assert await read_body(sends(b"on", b"", b"e")) == b"one"


async def test_of_what_is_too_long_little_is_kept_and_not_all_is_read() -> None:
    chunk = bytes(10_000)
    long = sends(*[chunk] * 50)
    assert await read_body(long) == bytes(20_000)
    assert (await long())["type"] == "http.disconnect"
    endless = sends(*[chunk] * (MAX_TAKEN_BYTES // len(chunk) + 2))
    assert await read_body(endless) == bytes(20_000)
    assert (await endless())["type"] == "http.request"


async def test_a_client_that_leaves_amid_its_body_is_refused() -> None:
    with pytest.raises(Refused):
        await read_body(sends(b'{"inner"', then="leave"))


def test_fields_are_read_and_others_ignored() -> None:
    body = b'{"inner": {"name": "a", "age": 3, "x": 1}, "y": []}'
    assert parse_fields(body, Outer) == Outer(Inner("a", 3))


def test_every_field_at_fault_is_named() -> None:
    def shout(text: str) -> str:
        raise RuleBroken([f"{text} is too quiet", "Louder"])

    errors = refusal(b'{"inner": {"age": "3", "note": null}}').errors
    assert errors is not None
    assert set(errors) == {"name", "age", "note"}
    errors = refusal(b'{"inner": {"name": "a", "age": "3"}}', rules={"name": shout}).errors
    assert errors == {"name": ["a is too quiet", "Louder"], "age": ["Expected int, got str"]}


@pytest.mark.parametrize("body", [b"{}", b'{"inner": null}', b'{"inner": []}', b'{"inner": 1}'])
def test_a_missing_object_is_named(body: bytes) -> None:
    errors = refusal(body).errors
    assert errors is not None
    assert "inner" in errors


def test_the_bound() -> None:
    assert refusal(b"[]".ljust(MAX_BODY_BYTES)).status == 400
    assert refusal(b"[]".ljust(MAX_BODY_BYTES + 1)).status == 413


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["inner", "name", "age"]), inner),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"inner": {"name": "\\ud800"}}')
@example(b'{"inner": {"name": "\\udc00x"}}')
@example(b'{"inner": {"name": "\xed\xa0\x80"}}')
@example(b'{"inner": {"name": "\xff"}}')
@example(b'{"inner": {"name": "a", "age": ' + b"9" * 5000 + b"}}")
@example(b'{"inner": {"name": "a", "age": 1e999}}')
@example(b"[" * 15_000)
@example(b'{"inner":' * 1500)
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(Refused):
        fields = parse_fields(body, Outer)
        # Postgres and our answers can hold it.
        fields.inner.name.encode()
