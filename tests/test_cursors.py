"""Cursors: what was given out comes back, and nothing else does."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct

from pychat.cursors import decode_cursor, encode_cursor
from pychat.errors import Refused


class Position(Struct, array_like=True, forbid_unknown_fields=True):
    number: int
    name: str | None = None


@given(number=st.integers(-(2**63), 2**63 - 1), name=st.none() | st.text(st.characters(codec="utf-8"), max_size=50))
def test_a_position_comes_back(number: int, name: str | None) -> None:
    position = Position(number, name)
    cursor = encode_cursor(position)
    # It fits a URL as it is.
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor, Position) == position


def test_none_given_is_none() -> None:
    assert decode_cursor(UNSET, Position) is None


@given(st.text(max_size=600) | st.text("AIMWw0123456789-_=", max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with suppress(Refused):
        position = decode_cursor(text, Position)
        assert position is not None
        assert encode_cursor(position) == text


@pytest.mark.parametrize("change", ["{}=", "{}\n", " {}", "{}AAAA", "*{}"])
def test_a_cursor_is_taken_only_as_it_was_given(change: str) -> None:
    with pytest.raises(Refused) as refused:
        decode_cursor(change.format(encode_cursor(Position(12345))), Position)
    assert refused.value.code == "validation_failed"
    assert refused.value.errors is not None
    assert set(refused.value.errors) == {"after"}
