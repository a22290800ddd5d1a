"""`chats.max_per_user`: nobody is put into more chats, whoever opens them and in whichever way."""

from collections.abc import Iterator

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.expect import expect_error, expect_problem
from tests.support.server import Server

BOUND = 2


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(PYCHAT_CHATS__MAX_PER_USER=str(BOUND)) as started:
        yield started


@pytest.fixture
def busy(server: Server) -> Person:
    """Somebody in as many chats as one may be, one of them with oneself."""
    person = server.person()
    person.chat_with(person)
    person.chat_with(server.person())
    return person


def test_one_more_is_refused_to_both(busy: Person, alice: Person) -> None:
    for opener, other in ((busy, alice), (alice, busy)):
        expect_error(opener.private_chat(other.username), 409)
        answer = opener.request("POST", "/v2/chats", json={"type": "private", "username": other.username})
        expect_problem(answer, "too_many_chats")
    # Which takes nothing of the other's room.
    for _ in range(BOUND - 1):
        assert alice.private_chat(alice.username).is_success
    assert len(alice.request("GET", "/v2/chats").json()["items"]) == 1


def test_what_is_there_stays(busy: Person, alice: Person) -> None:
    answer = busy.request("POST", "/v2/chats", json={"type": "private", "username": busy.username})
    assert answer.status_code == 200
    busy.says(answer.json()["id"], "Hello")
    expect_problem(
        busy.request("POST", "/v2/chats", json={"type": "private", "username": "nobody-at-all"}), "user_not_found"
    )


def test_the_older_dialect_opens_no_chat_beyond_it(busy: Person, alice: Person) -> None:
    session = busy.session()
    expect_error(alice.send_to(busy.username, "Hello"), 409)
    busy.tells(busy, "To myself")
    assert session.read_texts(1) == ["To myself"]
