"""`GET /v2/chats/{id}/messages`: every message once, in order, however one walks."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Person, new_name
from tests.support.expect import expect_problem
from tests.support.history import BORDER, Line, write_history
from tests.support.server import Server


def page_of(person: Person, chat_id: str, query: str = "") -> dict[str, Any]:
    answer = person.request("GET", f"/v2/chats/{chat_id}/messages?{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"items", "next"}
    return body


def ids(page: dict[str, Any]) -> list[int]:
    return [int(message["id"]) for message in page["items"]]


def walk(
    person: Person, chat_id: str, parameter: str, limit: int, start: str | None, meanwhile: Callable[[], None]
) -> Iterator[list[int]]:
    """Page after page until there is no next one; something happens in between."""
    position = start
    while True:
        page = page_of(person, chat_id, f"limit={limit}" + (f"&{parameter}={position}" if position else ""))
        assert len(page["items"]) <= limit
        yield ids(page)
        position = page["next"]
        if position is None:
            return
        assert len(page["items"]) == limit
        meanwhile()


def test_a_message_has_its_keys(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(1_234_567, alice, "Hello\n\u20ac", "mine"), Line(2_000_000, bob, "Hi", "his")])
    first, second = page_of(alice, chat_id)["items"]
    assert first == {
        "id": "1234567",
        "chat_id": chat_id,
        "sender": alice.username,
        "text": "Hello\n\u20ac",
        "sent_at": "1970-01-01T00:00:01.234Z",
        "client_id": "mine",
    }
    assert second["sender"] == bob.username
    assert second["sent_at"] == "1970-01-01T00:00:02.000Z"
    # The other's client ids are the other's.
    assert "client_id" not in second


def test_an_empty_chat_has_an_empty_past(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    for query in ("", "before=5", "after=0"):
        assert page_of(alice, chat_id, query) == {"items": [], "next": None}


def test_pages_are_oldest_first(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    write_history(server, chat_id, [Line(number, alice) for number in range(1, 11)])
    assert page_of(alice, chat_id, "limit=3") == page_of(alice, chat_id, "limit=3&before=11")
    assert (ids(page_of(alice, chat_id, "limit=3")), page_of(alice, chat_id, "limit=3")["next"]) == ([8, 9, 10], "8")
    page = page_of(alice, chat_id, "limit=3&after=4")
    assert (ids(page), page["next"]) == ([5, 6, 7], "7")
    assert page_of(alice, chat_id, "before=3")["next"] is None
    assert page_of(alice, chat_id, "after=8")["next"] is None
    assert page_of(alice, chat_id, "after=10") == {"items": [], "next": None}
    assert page_of(alice, chat_id, "before=1") == {"items": [], "next": None}
    assert ids(page_of(alice, chat_id, "before=9999999999999999999")) == list(range(1, 11))
    assert ids(page_of(alice, chat_id, "after=9999999999999999999")) == []


def test_fifty_unless_told_otherwise(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    write_history(server, chat_id, [Line(number, alice) for number in range(1, 301)])
    assert ids(page_of(alice, chat_id)) == list(range(251, 301))
    assert len(ids(page_of(alice, chat_id, "limit=200"))) == 200
    assert ids(page_of(alice, chat_id, "after=0")) == list(range(1, 51))


def test_a_page_of_long_texts_is_shorter(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    write_history(server, chat_id, [Line(number, alice, "\U0001f40c" * 4_000) for number in range(1, 41)])
    # 65,536 code points at most, and nothing is left out.
    newest = page_of(alice, chat_id, "limit=200")
    assert (ids(newest), newest["next"]) == (list(range(25, 41)), "25")
    older = page_of(alice, chat_id, "limit=200&before=25")
    assert (ids(older), older["next"]) == (list(range(9, 25)), "9")
    oldest = page_of(alice, chat_id, "limit=200&before=9")
    assert (ids(oldest), oldest["next"]) == (list(range(1, 9)), None)
    later = page_of(alice, chat_id, "limit=200&after=3")
    assert (ids(later), later["next"]) == (list(range(4, 20)), "19")
    assert ids(page_of(alice, chat_id, "limit=16")) == list(range(25, 41))


def test_chats_do_not_mix(server: Server, alice: Person, bob: Person, eve: Person) -> None:
    with_bob, with_eve = alice.chat_with(bob), alice.chat_with(eve)
    write_history(server, with_bob, [Line(number, alice) for number in (1, 3, 5)])
    write_history(server, with_eve, [Line(number, alice) for number in (2, 4)])
    assert ids(page_of(alice, with_bob)) == [1, 3, 5]
    assert ids(page_of(alice, with_eve)) == [2, 4]
    assert ids(page_of(bob, with_bob)) == [1, 3, 5]


def test_names_are_those_of_now(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(1, bob)])
    renamed = new_name()
    assert bob.patch(bob.username, username=renamed).status_code == 200
    assert page_of(alice, chat_id)["items"][0]["sender"] == renamed
    # What was said stays when its author goes.
    assert bob.delete(renamed).status_code == 200
    assert page_of(alice, chat_id)["items"][0]["sender"] == renamed


def test_who_is_not_in_the_chat_finds_none(server: Server, alice: Person, bob: Person, eve: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(1, alice)])
    for strange in (
        chat_id,
        "pc:00000000-0000-0000-0000-000000000000",
        "pc:",
        "x",
        "%00",
        "%F0%9F%98%80",
        "pc:" + "0" * 900,
    ):
        answer = eve.request("GET", f"/v2/chats/{strange}/messages")
        assert expect_problem(answer, "chat_not_found") == {}
        assert answer.json() == eve.request("GET", "/v2/chats/x/messages").json()


def test_a_deleted_user_reads_no_more(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    assert alice.delete(alice.username).status_code == 200
    expect_problem(alice.request("GET", f"/v2/chats/{chat_id}/messages"), "user_gone")
    assert page_of(bob, chat_id)["items"] == []


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("before=5&after=4", ["before", "after"]),
        ("before=", ["before"]),
        ("before=-1", ["before"]),
        ("after=x", ["after"]),
        ("after=1e3", ["after"]),
        ("after=%D9%A3", ["after"]),
        ("after=12345678901234567890", ["after"]),
        ("limit=0", ["limit"]),
        ("limit=201", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=", ["limit"]),
        ("limit=1&limit=2", ["limit"]),
        ("older_than=5&limit=0", ["older_than", "limit"]),
    ],
)
def test_wrong_parameters_are_named(alice: Person, query: str, fields: list[str]) -> None:
    chat_id = alice.chat_with(alice)
    expect_problem(alice.request("GET", f"/v2/chats/{chat_id}/messages?{query}"), "validation_failed", *fields)


@pytest.fixture(scope="module")
def walker(server: Server) -> Person:
    return server.person()


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    gaps=st.lists(st.integers(1, 10**13), max_size=30),
    limit=st.integers(1, 7),
    late=st.lists(st.integers(0, 3), max_size=12),
    forward=st.booleans(),
    middle=st.floats(0, 1),
)
def test_a_walk_sees_every_message_once(
    server: Server, walker: Person, gaps: list[int], limit: int, late: list[int], forward: bool, middle: float
) -> None:
    chat_id = server.new_group({walker: "owner"})
    present = list(accumulate(gaps, initial=BORDER - sum(gaps) // 2))[1:]
    write_history(server, chat_id, [Line(number, walker) for number in present])
    known = list(present)
    arrivals = iter(late)

    def somebody_writes() -> None:
        above = known[-1] if known else BORDER
        new = [above + 1 + number for number in range(next(arrivals, 0))]
        if new:
            write_history(server, chat_id, [Line(number, walker) for number in new])
            known.extend(new)

    start = int(len(present) * middle)
    if forward:
        # From the message at `start` to the end, those that come meanwhile included.
        begin = str(present[start - 1]) if start else "0"
        pages = list(walk(walker, chat_id, "after", limit, begin, somebody_writes))
        assert [number for page in pages for number in page] == known[start:]
    else:
        end = str(present[start]) if start < len(present) else None
        pages = list(walk(walker, chat_id, "before", limit, end, somebody_writes))
        assert [number for page in reversed(pages) for number in page] == present[: start if end else None]
