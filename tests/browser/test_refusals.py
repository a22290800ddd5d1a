"""What the server refuses, for reasons of its own or of its database: told, and sent later by itself, once."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from playwright.sync_api import expect

from tests.support.browser import Window
from tests.support.client import PASSWORD, Person, new_name
from tests.support.configs import Configs
from tests.support.door import through_the_edge
from tests.support.held import held_session
from tests.support.history import texts_seen_by
from tests.support.postgres import Postgres
from tests.support.server import Options, Server, running
from tests.support.wait import wait_until

pytestmark = through_the_edge


@pytest.fixture(scope="module")
def database(workspace: Path) -> Iterator[Postgres]:
    """A Postgres that no other test depends on."""
    postgres = Postgres(workspace / "refusals")
    postgres.start()
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def server(server_options: Callable[..., Options], database: Postgres) -> Iterator[Server]:
    with running(server_options(PYCHAT_DATABASE__URL=database.new_database())) as started:
        yield started


@contextmanager
def configured(server: Server, key: str, **fields: object) -> Iterator[None]:
    """A value of the dynamic config, in force for a `with` block."""
    configs = Configs(lambda path, **options: server.monitor("POST", path, **options))
    configs.put({key: fields})
    try:
        yield
    finally:
        configs.delete(key)


@pytest.mark.provokes(429)
def test_who_writes_too_fast_is_told(chatting: Window, server: Server, bob: Person) -> None:
    texts = ["the first", "one", "two", "three"]
    with configured(server, "SEND_LIMITER_CONFIG", max_rps_per_user=0, token_refill_amount=0):
        for text in texts[1:]:
            chatting.write(text)
        expect(chatting.message("one")).to_contain_text(
            "You write faster than is allowed. It is tried again by itself."
        )
        expect(chatting.message("three").get_by_role("img", name="Waiting to be sent")).to_be_visible()
        expect(chatting.composer).to_have_value("")
    for text in texts[1:]:
        chatting.expect_sent(text)
    expect(chatting.texts).to_have_text(texts)
    assert texts_seen_by(bob) == texts


def test_a_server_that_keeps_no_messages_is_told_of(chatting: Window, server: Server) -> None:
    with configured(server, "HISTORY_CONFIG", is_enabled=False):
        chatting.write("into the wind")
        chatting.expect_sent("into the wind")
        expect(chatting.connection).to_contain_text("This server keeps no messages")
    chatting.write("on paper")
    chatting.expect_sent("on paper")
    expect(chatting.connection).to_be_hidden()
    expect(chatting.texts).to_have_text(["the first", "into the wind", "on paper"])


# By the page's own clock: word of them may come late.
BEGUN_MS = """
    performance.getEntriesByType("resource")
        .filter(({ name }) => /messages.poll.(?!start)/.test(name)).map(({ startTime }) => startTime)
"""


def test_polls_that_are_not_held_come_no_faster_for_that(chatting: Window, server: Server) -> None:
    polls: list[float] = []
    with configured(server, "POLLING_CONFIG", polling_time_sec=0):
        chatting.page.evaluate("performance.clearResourceTimings()")
        # The first may still be held, the second follows it at once.
        while len(polls) < 4:
            chatting.page.wait_for_timeout(20)
            polls = chatting.page.evaluate(BEGUN_MS)
    assert polls[3] - polls[1] > 1_500


@pytest.mark.provokes(503)
def test_a_full_journal_is_told(chatting: Window, server: Server, alice: Person, bob: Person) -> None:
    chat_id = bob.chat_with(alice)
    with configured(server, "HISTORY_CONFIG", max_pending=1), ThreadPoolExecutor(1) as threads:
        with held_session(server.database_url) as session:
            # Reading goes on, writing does not.
            session.run("BEGIN; LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE")
            filling = threads.submit(insist, bob, chat_id, "the one that waits")
            wait_until(lambda: bool(session.value(IS_WRITING)), "the journal has one to write")
            chatting.write("one too many")
            expect(chatting.message("one too many")).to_contain_text("more messages than it can keep right now")
            expect(chatting.message("one too many").get_by_role("img", name="Waiting to be sent")).to_be_visible()
        filling.result()
        chatting.expect_sent("one too many")
    texts = texts_seen_by(bob)
    expect(chatting.texts).to_have_text(texts)
    assert sorted(texts) == sorted(["the first", "the one that waits", "one too many"])


def insist(person: Person, chat_id: str, text: str) -> None:
    """Sends until it is kept, as the page does: the journal does not wait for a lock for ever."""
    message = {"text": text, "client_id": str(uuid4())}
    while (answer := person.request("POST", f"/v2/chats/{chat_id}/messages", json=message)).status_code == 503:
        time.sleep(0.1)
    assert answer.is_success, answer.text


JOURNAL = "FROM pg_stat_activity WHERE application_name = 'pychat journal' AND datname = current_database()"
IS_WRITING = f"SELECT bool_or(wait_event_type = 'Lock') {JOURNAL}"
# A commit that does not come back as long as somebody else has the lock.
HANG_AT_COMMIT = """
    SELECT pg_advisory_lock(1);
    CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hang AFTER INSERT ON message_claims
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang()
"""
# The page says it until it has tried again.
KEEP_WHAT_IS_TOLD = """
    window.told = [];
    new MutationObserver(() => told.push(document.querySelector(".history").innerText))
        .observe(document.querySelector(".history"), { childList: true, characterData: true, subtree: true });
"""


@pytest.mark.provokes(503)
def test_an_outcome_that_nobody_knows_is_told(
    chatting: Window, server: Server, database: Postgres, bob: Person
) -> None:
    chatting.page.evaluate(KEEP_WHAT_IS_TOLD)
    with held_session(server.database_url) as session:
        session.run(HANG_AT_COMMIT)
        chatting.write("there or not")
        wait_until(lambda: bool(session.value(IS_WRITING)), "the commit has begun")
        writing = psutil.Process(session.value(f"SELECT pid {JOURNAL}"))
        # Its connection breaks, and nobody can ask what became of the commit.
        with database.frozen():
            writing.kill()
            wait_until(lambda: is_told(chatting, "It cannot arrive twice."), "the page tells of it")
    chatting.expect_sent("there or not")
    expect(chatting.texts).to_have_text(["the first", "there or not"])
    assert texts_seen_by(bob) == ["the first", "there or not"]


def is_told(window: Window, words: str) -> bool:
    return any(words in told for told in window.page.evaluate("told"))


@pytest.mark.provokes(503)
def test_a_database_that_is_down_is_told(chatting: Window, database: Postgres, bob: Person, ben: Window) -> None:
    form = ben.page.get_by_role("form", name="Make an account")
    newcomer = new_name()
    database.stop()
    try:
        chatting.write("hold on to this")
        expect(chatting.message("hold on to this")).to_contain_text("The server cannot keep anything right now.")
        expect(chatting.connection).to_contain_text("It is tried again by itself.")
        ben.sign_up(newcomer, "Ben Okafor")
        expect(form.get_by_role("alert")).to_contain_text("The server cannot do this right now. Try again in a moment.")
        expect(form.get_by_label("Username")).to_have_value(newcomer)
        expect(form.get_by_label("Password")).to_have_value(PASSWORD)
    finally:
        database.start()
    chatting.expect_sent("hold on to this")
    expect(chatting.connection).to_be_hidden()
    assert texts_seen_by(bob) == ["the first", "hold on to this"]
    form.get_by_role("button", name="Start chatting").click()
    expect(ben.page.get_by_text("No chats yet.")).to_be_visible()
