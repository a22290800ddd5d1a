"""Sessions, polls and sends, where nobody is at a limit."""

from uuid import UUID, uuid4

import pytest

from tests.support.client import Message, Person
from tests.support.expect import expect_error
from tests.support.parked import first_answered
from tests.support.server import Server

NO_SESSION = ["0b0b6b5e-8f5c-4f0e-9d0c-6d2a8c1f4e3a", "x", "0", "%00", "%FF", "a" * 2000, "", "start"]

BROKEN_TEXTS = ["", " ", " \t\r\n\v\f", "a\0b", "a\x01b", "a\x1bb", "a" * 4097, "ä" * 4097]

# What is sent, and what arrives.
TEXTS = [
    ("a", "a"),
    (" \t\r\n a b \n", "a b"),
    ("one\ttwo\r\nthree\n\n\n\n\nfour", "one\ttwo\r\nthree\n\n\n\n\nfour"),
    ("a" * 4096, "a" * 4096),
    (f"\n{'a' * 4096} ", "a" * 4096),
    ("\u4e2d" * 4096, "\u4e2d" * 4096),
    ("\U0001f989 \x7f\x80\u2028\ufeff\ufffd\uffff", "\U0001f989 \x7f\x80\u2028\ufeff\ufffd\uffff"),
    ("\u00a0a\u3000", "\u00a0a\u3000"),
    ('"\\/', '"\\/'),
    ("</script>&amp;%00'; DROP TABLE users; --", "</script>&amp;%00'; DROP TABLE users; --"),
]


# Sessions


def test_start_answers_a_session_id(alice: Person) -> None:
    answer = alice.start()
    assert answer.status_code == 200
    assert set(answer.json()) == {"session_id"}
    identifier = UUID(answer.json()["session_id"])
    assert identifier.version == 4
    assert str(identifier) == answer.json()["session_id"]


def test_start_needs_no_body_and_takes_any(alice: Person) -> None:
    assert alice.request("POST", "/v1/messages/poll/start", content=b"not JSON").status_code == 200


def test_five_sessions_and_a_sixth(alice: Person, bob: Person) -> None:
    sessions = [alice.session() for _ in range(5)]
    assert len({session.session_id for session in sessions}) == 5
    expect_error(alice.start(), 429)
    assert bob.start().status_code == 200

    bob.says(bob.chat_with(alice), "to all five")
    assert [session.read().texts for session in sessions] == [["to all five"]] * 5


# Polls


def test_a_poll_that_finds_nothing_answers_empty(alice: Person) -> None:
    answer = alice.poll(alice.session().session_id)
    assert answer.status_code == 200
    assert answer.json() == {"resync_required": False, "messages": []}


@pytest.mark.usefixtures("long_polls")
def test_a_parked_poll_is_answered_by_a_message(alice: Person, bob: Person) -> None:
    session = bob.session()
    chat_id = alice.chat_with(bob)
    parked = session.park()
    alice.says(chat_id, "wake up")
    status, body = parked.answer()
    assert (status, body["messages"]) == (200, [{"sender": alice.username, "text": "wake up"}])


@pytest.mark.usefixtures("long_polls")
def test_two_polls_at_once(alice: Person) -> None:
    session = alice.session()
    rivals = [session.open_poll(), session.open_poll()]
    refused = first_answered(rivals)
    rivals.remove(refused)
    status, body = refused.answer()
    assert (status, body["code"]) == (409, "409")
    expect_error(alice.poll(session.session_id), 409)

    alice.says(alice.chat_with(alice), "to whom came first")
    status, body = rivals[0].answer()
    assert (status, [message["text"] for message in body["messages"]]) == (200, ["to whom came first"])


@pytest.mark.usefixtures("long_polls")
def test_two_sessions_of_one_user_are_polled_at_once(alice: Person) -> None:
    parked = [alice.session().park() for _ in range(2)]
    alice.says(alice.chat_with(alice), "to both")
    assert [poll.answer()[1]["messages"][0]["text"] for poll in parked] == ["to both"] * 2


@pytest.mark.parametrize("session_id", NO_SESSION, ids=lambda session_id: session_id[:10])
def test_an_unknown_or_malformed_session_is_gone(alice: Person, session_id: str) -> None:
    expect_error(alice.poll(session_id), 410)
    alice.start()
    expect_error(alice.poll(session_id), 410)


def test_somebody_elses_session_is_gone(alice: Person, bob: Person) -> None:
    session = alice.session()
    bob.start()
    expect_error(bob.poll(session.session_id), 410)
    # And the owner lost nothing by it.
    alice.says(alice.chat_with(alice), "mine")
    assert session.read().texts == ["mine"]


@pytest.mark.usefixtures("long_polls")
def test_a_session_of_a_deleted_user_is_closed(alice: Person, bob: Person) -> None:
    chat_id = bob.chat_with(alice)
    parked = alice.session().park()
    alice.delete(alice.username)
    assert parked.answer()[0] == 401
    bob.says(chat_id, "into the void")
    expect_error(bob.send_to(alice.username, "into the void"), 404)


# Sends with a chat


def test_a_message_reaches_every_session_of_every_member(alice: Person, bob: Person, eve: Person) -> None:
    reached = [alice.session(), alice.session(), bob.session(), bob.session()]
    unreached = eve.session()
    answer = alice.send(alice.chat_with(bob), "Hello")
    assert answer.status_code == 202
    assert answer.json() is None
    for session in reached:
        assert session.read().messages == [Message(alice.username, "Hello")]
    assert unreached.read().messages == []


def test_a_message_to_oneself_arrives_once(alice: Person) -> None:
    session = alice.session()
    chat_id = alice.chat_with(alice)
    alice.says(chat_id, "first")
    alice.says(chat_id, "second")
    assert session.read_texts(2) == ["first", "second"]


def test_a_chat_without_listeners_takes_messages(alice: Person, bob: Person) -> None:
    assert alice.send(alice.chat_with(bob), "Anybody?").status_code == 202


def test_a_message_sent_before_the_session_is_not_in_it(alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    alice.says(chat_id, "before")
    session = alice.session()
    alice.says(chat_id, "after")
    assert session.read().texts == ["after"]


def test_messages_come_oldest_first(alice: Person, bob: Person) -> None:
    session = bob.session()
    chat_id = alice.chat_with(bob)
    texts = [str(number) for number in range(8)]
    for number, text in enumerate(texts):
        (alice.says if number % 2 else bob.says)(chat_id, text)
    assert session.read_texts(8) == texts


def test_a_group_is_reached_as_a_whole(server: Server, alice: Person, bob: Person, eve: Person) -> None:
    chat_id = server.new_group({alice: "owner", bob: "writer", eve: "reader"})
    sessions = [person.session() for person in (alice, bob, eve)]
    bob.says(chat_id, "Hello all")
    assert [session.read().messages for session in sessions] == [[Message(bob.username, "Hello all")]] * 3


def test_a_member_who_may_not_post_is_refused(server: Server, alice: Person, bob: Person) -> None:
    chat_id = server.new_group({alice: "owner", bob: "reader"})
    expect_error(bob.send(chat_id, "May I?"), 403)


def test_a_chat_one_is_not_in_is_not_found(alice: Person, bob: Person, eve: Person) -> None:
    expect_error(eve.send(alice.chat_with(bob), "Hello"), 404)


@pytest.mark.parametrize("kind", ["pc", "gc", "ch", "xx"])
def test_an_unknown_chat_is_not_found(alice: Person, kind: str) -> None:
    expect_error(alice.send(f"{kind}:{uuid4()}", "Hello"), 404)


@pytest.mark.parametrize("chat_id", ["", "x", "pc:", "a" * 3000, "a\0b", "é"])
def test_an_impossible_chat_is_not_found(alice: Person, chat_id: str) -> None:
    expect_error(alice.send(chat_id, "Hello"), 404)


# Sends in the older dialect


def test_a_message_to_a_recipient_reaches_only_their_sessions(alice: Person, bob: Person) -> None:
    senders = alice.session()
    reached = [bob.session(), bob.session()]
    answer = alice.send_to(bob.username, "Hello")
    assert answer.status_code == 202
    assert answer.json() is None
    for session in reached:
        assert session.read().messages == [Message(alice.username, "Hello")]
    assert senders.read().messages == []


def test_a_recipient_is_found_in_any_case(alice: Person, bob: Person) -> None:
    session = bob.session()
    assert alice.send_to(bob.username.upper(), "Hello").status_code == 202
    assert session.read().texts == ["Hello"]


def test_an_offline_recipient_is_a_conflict(alice: Person, bob: Person) -> None:
    expect_error(alice.send_to(bob.username, "Hello"), 409)


@pytest.mark.parametrize("name", ["nobody-at-all", "", "1", "a" * 3000, "a\0b", "é"])
def test_an_unknown_recipient_is_not_found(alice: Person, name: str) -> None:
    expect_error(alice.send_to(name, "Hello"), 404)


def test_a_recipient_may_be_oneself(alice: Person) -> None:
    session = alice.session()
    alice.tells(alice, "Note")
    assert session.read().messages == [Message(alice.username, "Note")]


# Bodies


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b"{}", b'{"message": 1}'])
def test_send_needs_a_message(alice: Person, content: bytes) -> None:
    expect_error(alice.request("POST", "/v1/messages/send", content=content), 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"chat_id": "pc:x"}, "payload"),
        ({"recipient": "abc"}, "payload"),
        ({"chat_id": "pc:x", "payload": 1}, "payload"),
        ({"recipient": "abc", "payload": None}, "payload"),
        ({"chat_id": 1, "payload": "x"}, "chat_id"),
        ({"chat_id": {}, "payload": "x"}, "chat_id"),
        ({"recipient": 1, "payload": "x"}, "recipient"),
        ({"recipient": ["abc"], "payload": "x"}, "recipient"),
    ],
    ids=str,
)
def test_send_names_what_is_missing_or_of_another_type(alice: Person, body: dict[str, object], field: str) -> None:
    answer = alice.request("POST", "/v1/messages/send", json={"message": body})
    assert set(expect_error(answer, 400, field)) == {field}


def test_send_names_the_address_when_there_is_none(alice: Person) -> None:
    errors = expect_error(alice.request("POST", "/v1/messages/send", json={"message": {"payload": "x"}}), 400)
    assert set(errors) & {"chat_id", "recipient"}


def test_send_names_all_that_is_missing(alice: Person) -> None:
    errors = expect_error(alice.request("POST", "/v1/messages/send", json={"message": {}}), 400, "payload")
    assert set(errors) & {"chat_id", "recipient"}


def test_send_ignores_unknown_keys(alice: Person) -> None:
    body = {"message": {"chat_id": alice.chat_with(alice), "payload": "x", "a": [{}]}, "b": None}
    assert alice.request("POST", "/v1/messages/send", json=body).status_code == 202


@pytest.mark.parametrize("text", BROKEN_TEXTS, ids=lambda text: ascii(text)[:12])
def test_a_broken_text_is_named(server: Server, text: str) -> None:
    sender = server.person()
    assert set(expect_error(sender.send(sender.chat_with(sender), text), 400, "text")) == {"text"}
    assert set(expect_error(sender.send_to(sender.username, text), 400, "text")) == {"text"}


def test_a_text_is_judged_before_the_chat(alice: Person) -> None:
    expect_error(alice.send("pc:none", " "), 400, "text")
    expect_error(alice.send_to("nobody-at-all", " "), 400, "text")


@pytest.mark.parametrize(("sent", "arrives"), TEXTS, ids=lambda text: ascii(text)[:12])
def test_a_text_arrives_as_it_was_sent(alice: Person, bob: Person, sent: str, arrives: str) -> None:
    session = bob.session()
    alice.says(alice.chat_with(bob), sent)
    assert session.read().messages == [Message(alice.username, arrives)]


def test_escapes_in_a_body_are_undone(alice: Person) -> None:
    session = alice.session()
    body = rb'{"message": {"chat_\u0069d": "%s", "payload": "\u00e9\uD83E\uDD89\"\\\/\t\u0041"}}'
    alice.request("POST", "/v1/messages/send", content=body % alice.chat_with(alice).encode())
    assert session.read().texts == ['é\U0001f989"\\/\tA']


@pytest.mark.parametrize("payload", [rb"\ud83e", rb"\udd89x", rb"\udd89\ud83e", rb"\ud83e\u0041"])
def test_half_a_surrogate_pair_is_refused(alice: Person, payload: bytes) -> None:
    chat_id = alice.chat_with(alice).encode()
    body = b'{"message": {"chat_id": "%s", "payload": "%s"}}' % (chat_id, payload)
    expect_error(alice.request("POST", "/v1/messages/send", content=body), 400)


@pytest.mark.parametrize("length", [16_000, 16_001])
def test_the_bound_of_a_body(alice: Person, length: int) -> None:
    body = b'{"message": {"chat_id": "%s", "payload": "x"}}' % alice.chat_with(alice).encode()
    answer = alice.request("POST", "/v1/messages/send", content=body.ljust(length))
    if length == 16_000:
        assert answer.status_code == 202
    else:
        expect_error(answer, 413)


def test_a_body_is_sized_before_it_is_read(alice: Person) -> None:
    expect_error(alice.request("POST", "/v1/messages/send", content=b"x" * 16_001), 413)


# Names


def test_the_sender_is_named_as_at_the_time_of_sending(alice: Person, bob: Person) -> None:
    session = bob.session()
    chat_id = alice.chat_with(bob)
    renamed = f"x{alice.username}"
    alice.says(chat_id, "under the first name")
    assert alice.patch(alice.username, username=renamed).status_code == 200
    alice.says(chat_id, "under the second name")
    assert session.read().messages == [
        Message(alice.username, "under the first name"),
        Message(renamed, "under the second name"),
    ]
