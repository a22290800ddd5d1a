"""`POST /v2/chats/{id}/messages`: stored when it is answered, once however often it is sent."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.client import Person
from tests.support.expect import expect_problem
from tests.support.server import Server


def post(person: Person, chat_id: str, **body: object) -> httpx.Response:
    return person.request("POST", f"/v2/chats/{chat_id}/messages", json=body)


def history(person: Person, chat_id: str) -> list[dict[str, Any]]:
    answer = person.request("GET", f"/v2/chats/{chat_id}/messages")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_message_is_stored_and_delivered(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    session = bob.session()
    answer = post(alice, chat_id, text=" Hello ")
    assert answer.status_code == 201, answer.text
    posted = answer.json()
    assert set(posted) == {"id", "sent_at"}
    age = datetime.now(UTC) - datetime.fromisoformat(posted["sent_at"])
    assert abs(age.total_seconds()) < 60
    assert session.read().texts == ["Hello"]
    (message,) = history(bob, chat_id)
    assert (message["id"], message["sent_at"], message["text"]) == (posted["id"], posted["sent_at"], "Hello")


def test_ids_grow(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    ids = [int(post(person, chat_id, text="x").json()["id"]) for person in (alice, bob, alice, bob)]
    assert ids == sorted(set(ids))


def test_a_repeated_client_id_is_one_message(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    session = bob.session()
    first = post(alice, chat_id, text="once", client_id="a b~!")
    again = post(alice, chat_id, text="once", client_id="a b~!")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert session.read().texts == ["once"]
    (message,) = history(alice, chat_id)
    assert message["client_id"] == "a b~!"


def test_a_client_id_is_the_senders_own(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    assert [post(person, chat_id, text="x", client_id="same").status_code for person in (alice, bob)] == [201, 201]


@pytest.mark.parametrize("client_id", ["", "a" * 65, "a\n", "é", "\x7f", 1, []], ids=ascii)
def test_a_client_id_that_is_none(alice: Person, client_id: object) -> None:
    answer = post(alice, alice.chat_with(alice), text="x", client_id=client_id)
    expect_problem(answer, "validation_failed", "client_id")


@pytest.mark.parametrize("client_id", ["x", "a" * 64, " ", None])
def test_a_client_id_that_is_one(alice: Person, client_id: object) -> None:
    assert post(alice, alice.chat_with(alice), text="x", client_id=client_id).status_code == 201


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_a_body_is_an_object(alice: Person, content: bytes) -> None:
    path = f"/v2/chats/{alice.chat_with(alice)}/messages"
    expect_problem(alice.request("POST", path, content=content), "not_json")


def test_each_fault_is_named(alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    expect_problem(post(alice, chat_id), "validation_failed", "text")
    expect_problem(post(alice, chat_id, text=None), "validation_failed", "text")
    expect_problem(post(alice, chat_id, text=" "), "validation_failed", "text")
    expect_problem(post(alice, chat_id, text=1, client_id=1, z=1), "validation_failed", "text", "client_id", "z")
    many = {f"unknown {number}": 1 for number in range(100)}
    named = list(many)[:10]
    errors = expect_problem(post(alice, chat_id, text="x", **many), "validation_failed", *named)
    assert set(errors) == set(named)


def test_the_bound_of_a_body(alice: Person) -> None:
    path = f"/v2/chats/{alice.chat_with(alice)}/messages"
    assert alice.request("POST", path, content=b'{"text": "x"}'.ljust(65_536)).status_code == 201
    expect_problem(alice.request("POST", path, content=b'{"text": "x"}'.ljust(65_537)), "body_too_large")


def test_who_may_post(server: Server, alice: Person, bob: Person, eve: Person) -> None:
    group = server.new_group({alice: "owner", bob: "reader"})
    assert post(alice, group, text="x").status_code == 201
    expect_problem(post(bob, group, text="x"), "may_not_post")
    expect_problem(post(eve, group, text="x"), "chat_not_found")
    expect_problem(post(eve, f"pc:{uuid4()}", text="x"), "chat_not_found")
    stranger = server.anonymous()
    expect_problem(stranger.request("POST", f"/v2/chats/{group}/messages", json={"text": "x"}), "token_missing")


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
def test_a_chat_id_may_be_escaped(alice: Person, colon: str) -> None:
    chat_id = alice.chat_with(alice).replace(":", colon)
    assert post(alice, chat_id, text="x").status_code == 201


@pytest.mark.parametrize("chat_id", ["x", "a" * 300, "%00", "%FF", "a%2Fb"])
def test_an_impossible_chat_is_not_found(alice: Person, chat_id: str) -> None:
    assert post(alice, chat_id, text="x").status_code == 404


def test_what_version_1_sends_has_a_past_too(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    alice.says(chat_id, "to the chat")
    session = bob.session()
    alice.tells(bob, "to the name")
    assert session.read().texts == ["to the name"]
    assert [message["text"] for message in history(bob, chat_id)] == ["to the chat", "to the name"]


def test_the_older_dialect_opens_the_chat_of_the_two(alice: Person, bob: Person) -> None:
    session = bob.session()
    alice.tells(bob, "Hello")
    assert session.read().texts == ["Hello"]
    found = bob.private_chat(alice.username)
    assert found.status_code == 200, "it is there already"
    assert [message["text"] for message in history(bob, found.json()["chat_id"])] == ["Hello"]


def test_to_somebody_offline_nothing_is_stored(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    assert alice.send_to(bob.username, "Hello").status_code == 409
    assert history(alice, chat_id) == []
