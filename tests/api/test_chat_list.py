"""`/v2/chats`: opening one, the list of one's own, and the read mark."""

import re
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Person, new_name
from tests.support.expect import expect_problem
from tests.support.history import Line, write_history
from tests.support.postgres import execute
from tests.support.server import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def opened(person: Person, username: str, status: int = 201) -> dict[str, Any]:
    answer = person.request("POST", "/v2/chats", json={"type": "private", "username": username})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def chats_of(person: Person, query: str = "") -> dict[str, Any]:
    answer = person.request("GET", f"/v2/chats?{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def the_chat(person: Person) -> dict[str, Any]:
    """Of somebody who has one."""
    (chat,) = chats_of(person)["items"]
    return dict(chat)


def read(person: Person, chat_id: str, message_id: object) -> str | None:
    answer = person.request("PUT", f"/v2/chats/{chat_id}/read", json={"message_id": message_id})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"read_up_to"}
    mark = answer.json()["read_up_to"]
    assert mark is None or isinstance(mark, str)
    return mark


# Opening


def test_a_chat_is_opened_once_from_either_side(alice: Person, bob: Person) -> None:
    bob.patch(bob.username, display_name="Bob B.")
    alice.patch(alice.username, display_name="Alice")
    chat = opened(alice, bob.username.upper())
    assert TIME.fullmatch(chat.pop("created_at"))
    assert chat == {
        "id": chat["id"],
        "type": "private",
        "title": "Bob B.",
        "peer": {"username": bob.username, "display_name": "Bob B."},
        "last_message": None,
        "unread_count": 0,
        "read_up_to": None,
        "role": "writer",
    }
    assert chat["id"].startswith("pc:")
    from_bob = opened(bob, alice.username, status=200)
    assert (from_bob["id"], from_bob["title"]) == (chat["id"], "Alice")
    # One chat for both versions.
    assert alice.chat_with(bob) == chat["id"]
    session = bob.session()
    alice.says(chat["id"], "Hello")
    assert session.read_texts(1) == ["Hello"]


def test_a_chat_with_oneself_has_ones_own_name(alice: Person) -> None:
    alice.patch(alice.username, display_name="Alice")
    chat = opened(alice, alice.username)
    assert (chat["title"], chat["peer"]["username"]) == ("Alice", alice.username)
    assert opened(alice, alice.username, status=200) == chat


@pytest.mark.parametrize("username", ["nobody-at-all", "", "a b", "\0", "\u00e9", "x" * 1000])
def test_no_chat_with_nobody(alice: Person, username: str) -> None:
    answer = alice.request("POST", "/v2/chats", json={"type": "private", "username": username})
    expect_problem(answer, "user_not_found")


def test_no_chat_with_a_deleted_user(alice: Person, bob: Person) -> None:
    known = opened(alice, bob.username)
    bob.delete(bob.username)
    answer = alice.request("POST", "/v2/chats", json={"type": "private", "username": bob.username})
    expect_problem(answer, "user_not_found")
    assert the_chat(alice)["id"] == known["id"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["type", "username"]),
        ({"type": "private"}, ["username"]),
        ({"username": "bob"}, ["type"]),
        ({"type": "group", "username": "bob"}, ["type"]),
        ({"type": "channel", "title": "News"}, ["type", "username", "title"]),
        ({"type": "private", "username": 1}, ["username"]),
        ({"type": None, "username": None}, ["type", "username"]),
        ({"type": "private", "username": "bob", "title": "x", "": 1}, ["title", ""]),
    ],
)
def test_wrong_fields_are_named(alice: Person, body: object, fields: list[str]) -> None:
    expect_problem(alice.request("POST", "/v2/chats", json=body), "validation_failed", *fields)


# The list


def test_who_has_no_chats_has_an_empty_list(alice: Person) -> None:
    assert chats_of(alice) == {"items": [], "next": None}


def test_the_last_message_is_shown(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(1_000_000, alice, "One"), Line(2_000_000, bob, "Two", "his")])
    last = {
        "id": "2000000",
        "chat_id": chat_id,
        "sender": bob.username,
        "text": "Two",
        "sent_at": "1970-01-01T00:00:02.000Z",
    }
    assert the_chat(alice)["last_message"] == last
    assert the_chat(bob)["last_message"] == {**last, "client_id": "his"}


def test_the_newest_activity_comes_first(server: Server, alice: Person) -> None:
    people = [server.person() for _ in range(4)]
    chats = [alice.chat_with(person) for person in people]
    for chat_id, last in zip(chats, [20, 30, 10, None], strict=True):
        # As old as their first messages.
        execute(server.database_url, "UPDATE chats SET created_at = to_timestamp(0.000025) WHERE id = $1", chat_id)
        if last:
            write_history(server, chat_id, [Line(1, alice), Line(last, alice)])
    order = [chats[1], chats[3], chats[0], chats[2]]
    assert [chat["id"] for chat in chats_of(alice)["items"]] == order


def test_roles_and_groups_are_listed(server: Server, alice: Person) -> None:
    chat_id = server.new_group({alice: "reader"})
    chat = the_chat(alice)
    assert (chat["id"], chat["type"], chat["role"], chat["title"]) == (chat_id, "group", "reader", "")
    assert "peer" not in chat


def test_a_peer_that_is_gone_is_still_named(server: Server, alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    bob.delete(bob.username)
    assert the_chat(alice)["peer"]["username"] == bob.username


def test_only_ones_own_chats_are_listed(alice: Person, bob: Person, eve: Person) -> None:
    alice.chat_with(bob)
    assert chats_of(eve)["items"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_pages_hold_every_chat_once(server: Server, alice: Person, limit: int) -> None:
    chats = [server.new_group({alice: "owner"}) for _ in range(7)]
    # Some were active at the same instant, as chats that were made together are.
    for chat_id in chats[:3]:
        write_history(server, chat_id, [Line(int(chat_id[3:11], 16), alice)])
    execute(server.database_url, "UPDATE chats SET created_at = to_timestamp(7) WHERE id = ANY($1)", chats[4:])
    pages, following = [], ""
    while True:
        page = chats_of(alice, f"limit={limit}{following}")
        pages.append([chat["id"] for chat in page["items"]])
        if page["next"] is None:
            break
        following = f"&after={page['next']}"
    assert all(len(page) == limit for page in pages[:-1])
    walked = [chat_id for page in pages for chat_id in page]
    assert walked == [chat["id"] for chat in chats_of(alice)["items"]]
    assert sorted(walked) == sorted(chats)


@pytest.mark.parametrize(
    "cursor", ["x", "", "%00", "WzEsMl0=", "WzEsMl0x", "W10", "WyIxIiwyXQ", "Wy0xLDJd", "A" * 5000, "_" * 400]
)
def test_a_cursor_of_no_page_is_refused(alice: Person, cursor: str) -> None:
    expect_problem(alice.request("GET", f"/v2/chats?after={cursor}"), "validation_failed", "after")


@pytest.mark.parametrize(
    ("query", "fields"),
    [("limit=101", ["limit"]), ("limit=0", ["limit"]), ("before=1", ["before"]), ("a=1&b", ["a", "b"])],
)
def test_wrong_parameters_are_named(alice: Person, query: str, fields: list[str]) -> None:
    expect_problem(alice.request("GET", f"/v2/chats?{query}"), "validation_failed", *fields)


# Read marks and unread messages


def test_what_others_wrote_is_unread_until_it_is_read(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(number, bob if number % 2 else alice) for number in range(1, 11)])
    assert (the_chat(alice)["unread_count"], the_chat(bob)["unread_count"]) == (5, 5)
    assert read(alice, chat_id, "4") == "4"
    chat = the_chat(alice)
    assert (chat["unread_count"], chat["read_up_to"]) == (3, "4")
    assert (the_chat(bob)["unread_count"], the_chat(bob)["read_up_to"]) == (5, None)
    assert read(alice, chat_id, "10") == "10"
    assert the_chat(alice)["unread_count"] == 0


def test_the_mark_never_moves_back(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(number, bob) for number in range(1, 11)])
    assert read(alice, chat_id, "7") == "7"
    assert read(alice, chat_id, "3") == "7"
    assert read(alice, chat_id, "0") == "7"
    assert the_chat(alice)["read_up_to"] == "7"


def test_the_mark_stops_at_the_last_message(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    assert read(alice, chat_id, "9999999999999999999") is None
    write_history(server, chat_id, [Line(5, bob)])
    assert read(alice, chat_id, "9999999999999999999") == "5"
    write_history(server, chat_id, [Line(6, bob)])
    assert the_chat(alice)["unread_count"] == 1


def test_unread_messages_are_counted_to_a_thousand(server: Server, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    write_history(server, chat_id, [Line(number, bob) for number in range(1, 1500)])
    assert the_chat(alice)["unread_count"] == 1000
    read(alice, chat_id, "499")
    assert the_chat(alice)["unread_count"] == 1000
    read(alice, chat_id, "500")
    assert the_chat(alice)["unread_count"] == 999
    assert the_chat(bob)["unread_count"] == 0


@pytest.fixture(scope="module")
def reader(server: Server) -> Person:
    return server.person()


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(marks=st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_marks_set_at_once_leave_the_highest(server: Server, reader: Person, marks: list[int]) -> None:
    chat_id = server.new_group({reader: "owner"})
    write_history(server, chat_id, [Line(number, reader) for number in range(1, 21)])
    given_back: list[str | None] = []

    def mark(message_id: int) -> None:
        given_back.append(read(reader, chat_id, str(message_id)))

    threads = [threading.Thread(target=mark, args=[message_id]) for message_id in marks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    highest = min(max(marks), 20)
    assert len(given_back) == len(marks)
    assert max(int(answer or 0) for answer in given_back) == highest
    assert read(reader, chat_id, "0") == (str(highest) if highest else None)


def test_no_mark_where_one_is_not_a_member(alice: Person, bob: Person, eve: Person) -> None:
    chat_id = alice.chat_with(bob)
    for strange in (chat_id, "pc:00000000-0000-0000-0000-000000000000", "x", "%00"):
        answer = eve.request("PUT", f"/v2/chats/{strange}/read", json={"message_id": "1"})
        expect_problem(answer, "chat_not_found")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["message_id"]),
        ({"message_id": 5}, ["message_id"]),
        ({"message_id": None}, ["message_id"]),
        ({"message_id": "-5"}, ["message_id"]),
        ({"message_id": "five"}, ["message_id"]),
        ({"message_id": ""}, ["message_id"]),
        ({"message_id": "1" * 20}, ["message_id"]),
        ({"message_id": "\u0663"}, ["message_id"]),
        ({"message_id": "5", "chat_id": "x"}, ["chat_id"]),
    ],
)
def test_a_wrong_mark_is_refused(alice: Person, body: object, fields: list[str]) -> None:
    chat_id = alice.chat_with(alice)
    answer = alice.request("PUT", f"/v2/chats/{chat_id}/read", json=body)
    expect_problem(answer, "validation_failed", *fields)


def test_a_new_name_shows_in_the_list(alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    renamed = new_name()
    bob.patch(bob.username, username=renamed, display_name="Another")
    chat = the_chat(alice)
    assert (chat["title"], chat["peer"]["username"]) == ("Another", renamed)
