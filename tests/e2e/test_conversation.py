"""Two people register, open sessions and talk: the main job, from the first request to the last."""

import pytest

from tests.support.client import Message, Person, new_name
from tests.support.expect import expect_error
from tests.support.server import Server


@pytest.mark.usefixtures("long_polls")
def test_a_conversation_in_a_chat(server: Server) -> None:
    anybody = server.anonymous()
    people = []
    for _ in range(2):
        name = new_name()
        assert anybody.register(name).status_code == 200
        token = anybody.login(name).json()["token"]
        people.append(Person(server.http, name, token))
    ann, ben = people

    chat_id = ann.chat_with(ben)
    assert ben.chat_with(ann) == chat_id
    ann_reads, ben_reads = ann.session(), ben.session()

    waiting = ben_reads.park()
    ann.says(chat_id, "Hello Ben")
    status, body = waiting.answer()
    assert (status, body) == (
        200,
        {"resync_required": False, "messages": [{"sender": ann.username, "text": "Hello Ben"}]},
    )

    ben.says(chat_id, "Hello Ann")
    ben.says(chat_id, "How are you?")
    assert ann_reads.read_texts(3) == ["Hello Ben", "Hello Ann", "How are you?"]
    assert ben_reads.read_texts(2) == ["Hello Ann", "How are you?"]

    assert ben.delete(ben.username).status_code == 200
    ann.says(chat_id, "Gone?")
    assert ann_reads.read().texts == ["Gone?"]
    expect_error(ben.poll(ben_reads.session_id), 401)


@pytest.mark.usefixtures("long_polls")
def test_a_conversation_in_the_older_dialect(alice: Person, bob: Person) -> None:
    expect_error(alice.send_to(bob.username, "Are you there?"), 409)
    alice_reads, bob_reads = alice.session(), bob.session()

    waiting = bob_reads.park()
    alice.tells(bob, "Hello Bob")
    assert waiting.answer()[1]["messages"] == [{"sender": alice.username, "text": "Hello Bob"}]

    bob.tells(alice, "Hello Alice")
    bob.tells(alice, "How are you?")
    assert alice_reads.read_texts(2) == ["Hello Alice", "How are you?"]
    # Whoever writes in this dialect does not hear it.
    alice.tells(bob, "Well")
    assert bob_reads.read().texts == ["Well"]


def test_both_dialects_meet_in_one_session(alice: Person, bob: Person) -> None:
    session = bob.session()
    alice.says(alice.chat_with(bob), "with a chat")
    alice.tells(bob, "to a recipient")
    assert session.read().messages == [
        Message(alice.username, "with a chat"),
        Message(alice.username, "to a recipient"),
    ]
