"""Sessions, queues and users at their limits."""

from collections.abc import Iterator

import pytest

from tests.conftest import Launch
from tests.support.client import Batch, Message, Person
from tests.support.expect import expect_error
from tests.support.server import Server

MAX_SIZE = 2
MAX_QUEUE_SIZE = 3
MAX_QUEUE_BYTES = 20_000


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    """Short queues, small polls, and room for any number of sends."""
    with launch(
        {
            "POLLING_CONFIG": {"polling_time_sec": 1, "max_size": MAX_SIZE},
            "QUEUE_CONFIG": {"max_queue_size": MAX_QUEUE_SIZE, "max_queue_bytes": MAX_QUEUE_BYTES},
            "SEND_LIMITER_CONFIG": {"is_enabled": False},
        }
    ) as started:
        yield started


@pytest.fixture(scope="module")
def lonely_server(launch: Launch) -> Iterator[Server]:
    """Room for one user, with two sessions."""
    with launch({"REGISTRY_CONFIG": {"max_users_amount": 1}, "SESSIONS_CONFIG": {"max_sessions_amount": 2}}) as started:
        yield started


def test_a_poll_brings_a_batch_and_leaves_the_rest(alice: Person) -> None:
    session = alice.session()
    chat_id = alice.chat_with(alice)
    for text in "abc":
        alice.says(chat_id, text)
    assert [session.read().texts for _ in range(3)] == [["a", "b"], ["c"], []]


def test_overflow_with_a_chat_is_for_the_session_to_know(alice: Person, bob: Person) -> None:
    session = bob.session()
    chat_id = alice.chat_with(bob)
    for text in "abcde":
        alice.says(chat_id, text)
    # The old ones are kept, and the loss is told once.
    answers = [session.read() for _ in range(2)]
    assert [(answer.resync_required, answer.texts) for answer in answers] == [(True, ["a", "b"]), (False, ["c"])]

    alice.says(chat_id, "f")
    answer = session.read()
    assert (answer.resync_required, answer.texts) == (False, ["f"])


def test_overflow_to_a_recipient_is_for_the_sender_to_know(alice: Person, bob: Person) -> None:
    full = bob.session()
    for text in "abc":
        alice.tells(bob, text)
    roomy = bob.session()

    expect_error(alice.send_to(bob.username, "d"), 503)
    assert roomy.read().texts == ["d"]
    answer = full.read()
    assert (answer.resync_required, answer.texts) == (True, ["a", "b"])

    # There is room again.
    alice.tells(bob, "e")
    answer = full.read()
    assert (answer.resync_required, answer.texts) == (False, ["c", "e"])


def test_overflow_of_one_session_leaves_the_others_alone(alice: Person, bob: Person) -> None:
    full = bob.session()
    chat_id = alice.chat_with(bob)
    for text in "abc":
        alice.says(chat_id, text)
    roomy = bob.session()
    alice.says(chat_id, "d")
    assert roomy.read() == Batch(resync_required=False, messages=[Message(alice.username, "d")])
    assert full.read().resync_required


def test_a_queue_is_bounded_in_bytes(alice: Person, bob: Person) -> None:
    session = bob.session()
    chat_id = alice.chat_with(bob)
    large = "\u4e2d" * 4096  # 12,288 bytes
    alice.says(chat_id, large)
    alice.says(chat_id, large)
    answer = session.read()
    assert (answer.resync_required, answer.texts) == (True, [large])

    alice.tells(bob, large)
    expect_error(alice.send_to(bob.username, large), 503)
    alice.tells(bob, "small")
    answer = session.read()
    assert (answer.resync_required, answer.texts) == (True, [large, "small"])


def test_one_user_more_than_may_be_online(lonely_server: Server) -> None:
    first, second = lonely_server.person(), lonely_server.person()
    first.session()
    expect_error(second.start(), 503)
    # Who is online already is not one user more.
    first.session()
    expect_error(first.start(), 429)
    # And who is deleted makes room.
    first.delete(first.username)
    second.session()
