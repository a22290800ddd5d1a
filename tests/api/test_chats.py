"""Private chats."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Person
from tests.support.expect import expect_error


def test_a_chat_is_made_once_and_found_from_either_side(alice: Person, bob: Person) -> None:
    made = alice.private_chat(bob.username)
    assert made.status_code == 201
    assert set(made.json()) == {"chat_id"}
    assert made.json()["chat_id"].startswith("pc:")
    for person, other in [(alice, bob), (bob, alice)]:
        found = person.private_chat(other.username)
        assert found.status_code == 200
        assert found.json() == made.json()


def test_different_people_have_different_chats(alice: Person, bob: Person, eve: Person) -> None:
    assert len({alice.chat_with(bob), alice.chat_with(eve), bob.chat_with(eve), alice.chat_with(alice)}) == 4


def test_a_chat_with_oneself(alice: Person) -> None:
    assert alice.private_chat(alice.username).status_code == 201
    assert alice.private_chat(alice.username).status_code == 200


def test_the_target_is_found_in_any_case(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    assert alice.private_chat(bob.username.upper()).json()["chat_id"] == chat_id


def test_a_chat_outlives_a_change_of_name(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    renamed = f"x{bob.username}"
    assert bob.patch(bob.username, username=renamed).status_code == 200
    assert alice.private_chat(renamed).json()["chat_id"] == chat_id
    expect_error(alice.private_chat(bob.username), 404)


@pytest.mark.parametrize("name", ["nobody-at-all", "", "1", "a" * 1000, "a\0b", "é"])
def test_there_is_no_chat_with_nobody(alice: Person, name: str) -> None:
    expect_error(alice.private_chat(name), 404)


def test_there_is_no_chat_with_a_deleted_user(alice: Person, bob: Person) -> None:
    bob.delete(bob.username)
    expect_error(alice.private_chat(bob.username), 404)


@pytest.mark.parametrize("content", [b"{}", b'{"target_username": 1}', b'{"target_username": null}'])
def test_the_target_is_named_when_missing_or_of_another_type(alice: Person, content: bytes) -> None:
    expect_error(alice.request("POST", "/v1/chats/private", content=content), 400, "target_username")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_is_needed(alice: Person, content: bytes) -> None:
    expect_error(alice.request("POST", "/v1/chats/private", content=content), 400)


def test_both_at_once_get_one_chat(alice: Person, bob: Person) -> None:
    pairs = [(alice, bob), (bob, alice)] * 3
    with ThreadPoolExecutor(len(pairs)) as pool:
        answers = list(pool.map(lambda pair: pair[0].private_chat(pair[1].username), pairs))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json()["chat_id"] for answer in answers}) == 1
