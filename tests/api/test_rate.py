"""A sender over the rate, and the order in which a send is judged.

The bucket refills while a test runs, however slow the machine is; so the tests count on what must be refused among
several requests, never on one request being quick enough.
"""

from collections.abc import Iterator
from time import monotonic

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.expect import expect_error
from tests.support.server import Server

BURST = 3
REFILL_PER_SEC = 1


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    """A burst of three sends, and one more every second."""
    with launch(
        {
            "POLLING_CONFIG": {"polling_time_sec": 1},
            "SEND_LIMITER_CONFIG": {"max_rps_per_user": BURST, "token_refill_amount": REFILL_PER_SEC},
        },
        PYCHAT_TESTING__ENABLED="true",
    ) as started:
        yield started


def exhaust(sender: Person, chat_id: str = "pc:none", text: str = "text") -> int:
    """Sends until the rate refuses; returns how many were let through."""
    for passed in range(100):
        answer = sender.send(chat_id, text)
        if answer.status_code == 429:
            return passed
    pytest.fail("100 sends passed")


def test_one_send_more_than_the_burst_is_refused(alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    session = alice.session()
    began = monotonic()
    passed = exhaust(alice, chat_id)
    assert BURST <= passed <= BURST + REFILL_PER_SEC * (monotonic() - began) + 1

    answer = alice.send(chat_id, "text")
    while answer.status_code == 202:
        passed += 1
        answer = alice.send(chat_id, "text")
    expect_error(answer, 429)
    assert answer.json()["message"] == "Enhance your calm!"
    assert "Enhance your calm!" in str(answer.json()["details"]["errors"])
    # What was refused was not delivered.
    assert session.read_texts(passed) == ["text"] * passed
    assert session.read().texts == []


def test_retry_after_is_when_a_send_passes_again(server: Server, alice: Person) -> None:
    exhaust(alice)
    answer = alice.send("pc:none", "text")
    if answer.status_code != 429:
        answer = alice.send("pc:none", "text")
    server.set_clock(int(answer.headers["retry-after"]))
    try:
        expect_error(alice.send("pc:none", "text"), 404)
    finally:
        server.set_clock(0)


def test_the_bucket_fills_up_to_the_burst(server: Server, alice: Person) -> None:
    exhaust(alice)
    server.set_clock(1000)
    try:
        began = monotonic()
        passed = exhaust(alice)
        assert BURST <= passed <= BURST + REFILL_PER_SEC * (monotonic() - began) + 1
    finally:
        server.set_clock(0)


def test_the_rate_is_a_senders_own(alice: Person, bob: Person) -> None:
    exhaust(alice)
    expect_error(bob.send("pc:none", "text"), 404)


def test_both_dialects_share_the_rate(alice: Person) -> None:
    exhaust(alice)
    statuses = {alice.send_to("nobody-at-all", "text").status_code for _ in range(BURST)}
    assert 429 in statuses


@pytest.mark.parametrize(("chat_id", "text"), [("pc:none", "text"), ("pc:none", " ")], ids=["no chat", "broken text"])
def test_a_request_takes_a_token_whatever_becomes_of_it(alice: Person, chat_id: str, text: str) -> None:
    began = monotonic()
    assert exhaust(alice, chat_id, text) <= BURST + REFILL_PER_SEC * (monotonic() - began) + 1


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"not JSON", 400), (b'{"message": {}}', 400), (b"x" * 16_001, 413)],
    ids=["not JSON", "no fields", "too large"],
)
def test_size_and_fields_are_judged_before_the_rate(alice: Person, content: bytes, status: int) -> None:
    exhaust(alice)
    for _ in range(BURST * 2):
        expect_error(alice.request("POST", "/v1/messages/send", content=content), status)


def test_a_body_that_is_no_message_takes_no_token(alice: Person) -> None:
    for _ in range(BURST * 10):
        expect_error(alice.request("POST", "/v1/messages/send", content=b"{}"), 400)
    assert exhaust(alice) >= BURST


def test_the_token_is_judged_before_the_rate(alice: Person) -> None:
    exhaust(alice)
    alice.token = f"{alice.token}x"
    for _ in range(BURST * 2):
        expect_error(alice.send("pc:none", "text"), 401)


def test_polls_and_starts_are_not_limited(alice: Person) -> None:
    exhaust(alice)
    session = alice.session()
    assert session.read().messages == []
