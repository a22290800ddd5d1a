"""What fails is told, and nothing that was written is lost or doubled."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.conftest import Launch
from tests.support.browser import Window
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.server import Server

pytestmark = through_the_edge

HOUR_SEC = 3600


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(PYCHAT_TESTING__ENABLED="true") as started:
        yield started


@pytest.fixture
def chatting(ann: Window, alice: Person, bob: Person) -> Window:
    """Alice's window, in her chat with Bob."""
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    expect(ann.message("the first")).to_be_visible()
    return ann


def texts_seen_by(person: Person) -> list[str]:
    """The messages of the person's only chat, as the server has them."""
    chat = person.request("GET", "/v2/chats").json()["items"][0]
    messages = person.request("GET", f"/v2/chats/{chat['id']}/messages").json()["items"]
    return [message["text"] for message in messages]


def test_what_is_written_offline_goes_out_once(chatting: Window, alice: Person, bob: Person) -> None:
    context = chatting.page.context
    context.set_offline(True)
    expect(chatting.connection).to_contain_text("No connection.")
    chatting.write("written offline")
    chatting.write("and more")
    expect(chatting.message("and more").get_by_role("img", name="Waiting to be sent")).to_be_visible()
    expect(chatting.connection).to_contain_text("2 messages wait and will go out by itself.")
    bob.says(alice.chat_with(bob), "said meanwhile")

    context.set_offline(False)
    chatting.expect_sent("and more")
    expect(chatting.connection).to_be_hidden()
    expect(chatting.texts).to_have_count(4)
    assert sorted(texts_seen_by(bob)) == sorted(["the first", "said meanwhile", "written offline", "and more"])
    bob.says(alice.chat_with(bob), "welcome back")
    expect(chatting.message("welcome back")).to_be_visible()


def test_what_waits_outlives_a_reload(chatting: Window, bob: Person) -> None:
    page = chatting.page
    page.route("**/v2/chats/*/messages", _unless_post)
    chatting.write("patience")
    waiting = chatting.message("patience").get_by_role("img", name="Waiting to be sent")
    expect(waiting).to_be_visible()
    page.reload()
    expect(waiting).to_be_visible()
    page.unroute_all()
    page.reload()
    chatting.expect_sent("patience")
    assert texts_seen_by(bob) == ["the first", "patience"]


def _unless_post(route: Route) -> None:
    if route.request.method == "POST":
        route.abort()
    else:
        route.continue_()


def test_an_answer_that_was_lost_doubles_nothing(chatting: Window, bob: Person) -> None:
    lost: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().text())
            route.abort()
        else:
            route.continue_()

    chatting.page.route("**/v2/chats/*/messages*", lose_the_first_answer)
    chatting.write("only once")
    chatting.expect_sent("only once")
    assert "sent_at" in lost[0]
    expect(chatting.texts).to_have_text(["the first", "only once"])
    assert texts_seen_by(bob) == ["the first", "only once"]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (503, "journal_full", "more messages than it can keep"),
        (503, "outcome_unknown", "It cannot arrive twice."),
        (429, "rate_limited", "You write faster than is allowed."),
    ],
)
def test_a_passing_failure_is_told_and_tried_again(
    chatting: Window, bob: Person, status: int, code: str, words: str
) -> None:
    refusals: list[str] = []

    def refuse_once(route: Route) -> None:
        if route.request.method == "POST" and not refusals:
            refusals.append(code)
            route.fulfill(**problem(status, code))
        else:
            route.continue_()

    chatting.page.route("**/v2/chats/*/messages*", refuse_once)
    chatting.write("again and again")
    expect(chatting.message("again and again")).to_contain_text(words)
    chatting.expect_sent("again and again")
    assert refusals == [code]
    assert texts_seen_by(bob) == ["the first", "again and again"]


def test_a_refused_message_can_be_edited_tried_again_or_discarded(chatting: Window, bob: Person) -> None:
    page = chatting.page
    refuse = {**problem(400, "validation_failed"), "body": json.dumps({"errors": {"text": ["The text is unseemly"]}})}
    page.route("**/v2/chats/*/messages", lambda route: route.fulfill(**refuse))
    for text in ("one", "two", "three"):
        chatting.write(text)
        expect(chatting.message(text)).to_contain_text("Not sent. The text is unseemly.")
    page.unroute_all()
    chatting.message("one").get_by_role("button", name="Try again").click()
    chatting.expect_sent("one")
    chatting.message("two").get_by_role("button", name="Discard").click()
    expect(chatting.message("two")).to_have_count(0)
    chatting.message("three").get_by_role("button", name="Edit").click()
    expect(chatting.composer).to_have_value("three")
    chatting.composer.press_sequentially(" and a half")
    chatting.composer.press("Enter")
    chatting.expect_sent("three and a half")
    assert texts_seen_by(bob) == ["the first", "one", "three and a half"]


def test_what_cannot_be_sent_is_told_while_one_writes(chatting: Window) -> None:
    chatting.composer.fill("x" * 4_100)
    fault = chatting.page.get_by_role("alert").filter(has_text="too long")
    expect(fault).to_have_text(re.compile("^4 characters too long: a message has at most 4,096."))
    expect(chatting.page.get_by_role("button", name="Send")).to_be_disabled()
    chatting.composer.press("Enter")
    expect(chatting.composer).to_have_value("x" * 4_100)
    chatting.composer.fill("x" * 4_096)
    chatting.composer.press("Enter")
    chatting.expect_sent("x" * 4_096)


def test_an_ended_token_is_told_and_nothing_typed_is_lost(
    chatting: Window, server: Server, alice: Person, bob: Person
) -> None:
    again = chatting.page.get_by_role("dialog", name="Still you?")
    try:
        server.set_clock(HOUR_SEC + 1)
        chatting.write("just too late")
        expect(again).to_contain_text("Your sign-in lasted its time and has ended.")
        again.get_by_label("Password").fill("Wr0ng-password")
        again.get_by_role("button", name="Go on").click()
        expect(again.get_by_role("alert")).to_contain_text("do not go together")
        again.get_by_label("Password").fill(alice.password)
        again.get_by_role("button", name="Go on").click()
        expect(again).to_be_hidden()
        chatting.expect_sent("just too late")
    finally:
        server.set_clock(0)


def test_a_deleted_account_is_told(chatting: Window, alice: Person) -> None:
    assert alice.delete(alice.username).status_code == 200
    expect(chatting.page.get_by_role("dialog", name="Still you?")).to_contain_text("This account has been deleted.")
    chatting.page.get_by_role("button", name="Sign out").click()
    expect(chatting.page.get_by_role("form", name="Welcome back")).to_be_visible()


def problem(status: int, code: str) -> dict[str, Any]:
    """What a route answers for such a failure."""
    return {
        "status": status,
        "headers": {"content-type": "application/problem+json", "retry-after": "1"},
        "body": json.dumps({"status": status, "title": "-", "detail": "A sentence", "code": code}),
    }
