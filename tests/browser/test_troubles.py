"""What fails is told, and nothing that was written is lost or doubled."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import pytest
from playwright.sync_api import APIResponse, Request, Route, expect

from tests.conftest import Launch
from tests.support.browser import Window, write_by_turns
from tests.support.client import PASSWORD, Person, new_name
from tests.support.door import through_the_edge
from tests.support.history import texts_seen_by
from tests.support.server import Server

pytestmark = through_the_edge

HOUR_SEC = 3600
# 410: the session is an hour old as well, unless a poll was held just then.
an_hour_passes = pytest.mark.provokes(401, 410)


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(PYCHAT_TESTING__ENABLED="true") as started:
        yield started


def test_what_is_written_offline_goes_out_once(chatting: Window, alice: Person, bob: Person) -> None:
    context = chatting.page.context
    tabs = [chatting, chatting.another_tab()]
    tabs[1].visit()
    tabs[1].open("Somebody")
    context.set_offline(True)
    for tab in tabs:
        expect(tab.connection).to_contain_text("No connection.")
    written = [f"written offline {number}" for number in range(6)]
    write_by_turns(tabs, written)
    expect(chatting.connection).to_contain_text("6 messages wait and will go out by themselves.")
    expect(chatting.page.get_by_role("img", name="Waiting to be sent")).to_have_count(6)
    for number in range(3):
        bob.says(alice.chat_with(bob), f"said meanwhile {number}")

    context.set_offline(False)
    for tab in tabs:
        expect(tab.page.get_by_role("img", name="Sent", exact=True)).to_have_count(6)
        expect(tab.connection).to_be_hidden()
    bob.says(alice.chat_with(bob), "welcome back")
    said = texts_seen_by(bob)
    assert said == ["the first", *[f"said meanwhile {number}" for number in range(3)], *written, "welcome back"]
    for tab in tabs:
        expect(tab.texts).to_have_text(said)


def test_a_form_keeps_what_was_typed_without_a_connection(ann: Window) -> None:
    ann.visit()
    ann.page.context.set_offline(True)
    form = ann.page.get_by_role("form", name="Make an account")
    username = new_name()
    form.get_by_label("Username").fill(username)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Start chatting").click()
    expect(form.get_by_role("alert")).to_contain_text("The server cannot be reached. Check your connection.")
    ann.page.context.set_offline(False)
    expect(form.get_by_label("Username")).to_have_value(username)
    form.get_by_role("button", name="Start chatting").click()
    expect(ann.page.get_by_text("No chats yet.")).to_be_visible()


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
    lost = chatting.lose_first_answer("**/v2/chats/*/messages*")
    chatting.write("only once")
    chatting.expect_sent("only once")
    assert "sent_at" in lost[0]
    expect(chatting.texts).to_have_text(["the first", "only once"])
    assert texts_seen_by(bob) == ["the first", "only once"]


@pytest.mark.provokes(400)
def test_a_refused_message_can_be_edited_tried_again_or_discarded(chatting: Window, bob: Person) -> None:
    page = chatting.page
    body = json.dumps({"code": "validation_failed", "errors": {"text": ["The text is unseemly"]}})
    page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=400, body=body))
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


def _write_too_late(window: Window, server: Server, text: str) -> None:
    """Has the token end with this message on its way: sooner, the question for the password could come before it."""

    def end_token(route: Route) -> None:
        server.set_clock(HOUR_SEC + 1)
        route.continue_()

    window.page.route("**/v2/chats/*/messages", end_token, times=1)
    window.write(text)


@an_hour_passes
def test_an_ended_token_is_told_and_nothing_typed_is_lost(
    chatting: Window, server: Server, alice: Person, bob: Person
) -> None:
    again = chatting.page.get_by_role("dialog", name="Still you?")
    try:
        _write_too_late(chatting, server, "just too late")
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


@an_hour_passes
def test_who_is_typing_is_asked_for_the_password_at_the_next_pause(
    chatting: Window, server: Server, bob: Person
) -> None:
    page = chatting.page
    again = page.get_by_role("dialog", name="Still you?")
    # By the page's clock there is no pause before the test makes one, however long the keys take.
    page.clock.install()
    page.clock.pause_at(datetime.now().astimezone() + timedelta(minutes=1))
    chatting.composer.press_sequentially("this is what I ")
    try:
        with page.expect_response(lambda answer: answer.status == 401):
            server.set_clock(HOUR_SEC + 1)
            chatting.look_back()  # it asks for news then
        chatting.composer.press_sequentially("was about to say")
        page.clock.run_for(1_000)
        chatting.composer.press_sequentially(", and more")
        page.clock.run_for(1_000)
        expect(again).to_be_hidden()
        page.clock.run_for(1_000)
        expect(again).to_be_visible()
        expect(again.get_by_label("Password")).to_have_value("")
        expect(chatting.composer).to_have_value("this is what I was about to say, and more")
    finally:
        server.set_clock(0)


@an_hour_passes
def test_who_was_renamed_elsewhere_goes_on_under_the_new_name(
    chatting: Window, server: Server, alice: Person, bob: Person
) -> None:
    again = chatting.page.get_by_role("dialog", name="Still you?")
    username = again.get_by_label("Username")
    new = new_name()
    chatting.expect_own_name()
    assert alice.patch(alice.username, username=new).status_code == 200
    try:
        _write_too_late(chatting, server, "just too late")
        expect(username).to_have_value(alice.username)
        again.get_by_label("Password").fill(alice.password)
        again.get_by_role("button", name="Go on").click()
        expect(again.get_by_role("alert")).to_contain_text("your username may have been changed on another device")
        username.fill(bob.username)
        again.get_by_role("button", name="Go on").click()
        expect(username).to_have_accessible_description(re.compile("This is another account."))
        username.fill(new.upper())
        again.get_by_role("button", name="Go on").click()
        expect(again).to_be_hidden()
        chatting.expect_sent("just too late")
        chatting.page.get_by_role("button", name="Your profile").click()
        expect(chatting.page.get_by_role("dialog")).to_contain_text(f"@{new}")
    finally:
        server.set_clock(0)


@an_hour_passes
def test_signing_in_again_in_one_tab_is_enough(chatting: Window, server: Server, alice: Person) -> None:
    other = chatting.another_tab()
    other.visit()
    other.open("Somebody")
    expect(other.message("the first")).to_be_visible()
    again = chatting.page.get_by_role("dialog", name="Still you?")
    try:
        _write_too_late(chatting, server, "from one tab")
        again.get_by_label("Password").fill(alice.password)
        again.get_by_role("button", name="Go on").click()
        chatting.expect_sent("from one tab")
        # It may have been asked there too, and hears only now that it was answered.
        other.expect_sent("from one tab")
        expect(other.page.get_by_role("dialog", name="Still you?")).to_be_hidden()
        other.write("from the other")
        other.expect_sent("from the other")
        expect(other.page.get_by_role("dialog", name="Still you?")).to_be_hidden()
    finally:
        server.set_clock(0)


@pytest.mark.parametrize("by", ["bob", "alice"])
def test_what_comes_while_a_chat_loads_is_shown(ann: Window, alice: Person, bob: Person, by: str) -> None:
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    ann.sign_in(alice.username)
    held: list[tuple[Route, APIResponse]] = []
    polls: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    def hold_poll(route: Route) -> None:
        polls.append(route)

    ann.page.route("**/messages?*", hold_the_first)
    ann.open("Somebody")
    ann.wait_for(held)
    if by == "bob":
        bob.says(chat_id, "meanwhile")
    else:
        ann.write("meanwhile")
    expect(ann.row("meanwhile")).to_be_visible()
    if by == "alice":
        expect(ann.message("meanwhile")).to_have_count(0)  # it is sent, and belongs to what is not loaded yet
    # No bell rings from now on.
    ann.page.route(re.compile(r"/messages/poll/[^/]+$"), hold_poll)
    ann.wait_for(polls)
    held[0][0].fulfill(response=held[0][1])
    expect(ann.texts).to_have_text(["the first", "meanwhile"])


@an_hour_passes
def test_the_question_for_the_password_stays(chatting: Window, server: Server) -> None:
    again = chatting.page.get_by_role("dialog", name="Still you?")
    try:
        _write_too_late(chatting, server, "just too late")
        expect(again).to_be_visible()
        for _ in range(3):
            chatting.page.keyboard.press("Escape")
        expect(again.get_by_label("Password")).to_be_focused()
        expect(again).to_be_visible()
    finally:
        server.set_clock(0)


def test_what_waited_has_the_time_at_which_it_was_sent(chatting: Window) -> None:
    page = chatting.page
    page.route("**/v2/chats/*/messages", _unless_post)
    chatting.write("patience")
    time = chatting.message("patience").locator("time")
    expect(time).to_be_visible()
    written = datetime.now().astimezone() - timedelta(hours=2)
    # As the page begins anew: before, a try that fails would write the entry over.
    page.add_init_script(
        f"""{{
            const key = Object.keys(localStorage).find((key) => key.includes("/outbox/"));
            const entry = JSON.parse(localStorage.getItem(key));
            localStorage.setItem(key, JSON.stringify({{ ...entry, written_at: "{written.isoformat()}" }}));
        }}"""
    )
    page.reload()
    expect(time).to_have_text(f"{written:%H:%M}")
    page.unroute_all()
    chatting.expect_sent("patience")
    expect(time).not_to_have_attribute("datetime", written.isoformat())
    expect(time).not_to_have_text(f"{written:%H:%M}")


@pytest.mark.provokes(400)
def test_a_refusal_is_told_to_those_who_hear_the_page(chatting: Window) -> None:
    body = json.dumps({"code": "validation_failed", "errors": {"text": ["The text is unseemly"]}})
    chatting.page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=400, body=body))
    chatting.write("shout")
    announced = chatting.page.locator("#announcements")
    expect(announced).to_have_text("shout: Not sent. The text is unseemly.")


def test_nothing_is_sent_but_what_one_means_to_send(chatting: Window) -> None:
    # The space bar of a Japanese input method.
    chatting.write("\u3000")
    expect(chatting.page.get_by_role("button", name="Send")).to_be_disabled()
    # Safari has ended the composition when it reports the key that ends it.
    chatting.composer.fill("half a sentence")
    for key in ("Enter", "Escape"):
        chatting.composer.dispatch_event("keydown", {"key": key, "keyCode": 229, "bubbles": True})
    expect(chatting.composer).to_have_value("half a sentence")
    expect(chatting.texts).to_have_text(["the first"])


@pytest.mark.provokes(401)
def test_a_deleted_account_is_told(chatting: Window, alice: Person) -> None:
    assert alice.delete(alice.username).status_code == 200
    expect(chatting.page.get_by_role("dialog", name="Still you?")).to_contain_text("This account has been deleted.")
    chatting.page.get_by_role("button", name="Sign out").click()
    expect(chatting.page.get_by_role("form", name="Welcome back")).to_be_visible()


FILL_THE_BROWSER = """() => {
    let filler = "";
    for (let size = 1 << 22; size >= 1; size = size >> 1) {
        try {
            for (;;) localStorage.setItem("filler", filler + "x".repeat(size)), (filler += "x".repeat(size));
        } catch {
            // half as much, then
        }
    }
}"""


@pytest.mark.provokes(403)
def test_a_browser_without_room_goes_on(chatting: Window, alice: Person, bob: Person) -> None:
    """What was kept before stays; a session that cannot be kept is read all the same, and none is opened beside it."""
    page = chatting.page
    sessions: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/poll/start"):
            sessions.append(request.url)

    page.context.on("request", note)
    page.route("**/v2/chats/*/messages", _unless_post)
    chatting.write("kept")
    expect(chatting.message("kept")).to_be_visible()
    # As the page begins anew: before, it would open another session itself.
    remove_session = "localStorage.removeItem(Object.keys(localStorage).find((key) => key.endsWith('/session')))"
    page.add_init_script(f"{remove_session}; ({FILL_THE_BROWSER})()")
    # Over the first, which stays until then: between the two it would be sent.
    page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=403, body='{"code": "may_not_post"}'))
    page.reload()
    expect(chatting.message("kept")).to_contain_text("Not sent.")
    bob.says(alice.chat_with(bob), "heard all the same")
    expect(chatting.message("heard all the same")).to_be_visible()
    expect(chatting.connection).to_be_hidden()
    assert len(sessions) == 1


def test_a_draft_without_room_stays_as_long_as_the_page(
    chatting: Window, alice: Person, bob: Person, eve: Person
) -> None:
    page = chatting.page
    eve.says(eve.chat_with(alice), "from Eve")
    expect(chatting.row("from Eve")).to_be_visible()
    page.evaluate(FILL_THE_BROWSER)
    chatting.composer.fill("half a thou")
    no_room = page.get_by_role("alert").filter(has_text="no room left to keep what you write")
    expect(no_room).to_be_visible()
    chatting.row("from Eve").click()
    expect(chatting.message("from Eve")).to_be_visible()
    expect(no_room).to_be_hidden()
    expect(chatting.composer).to_have_value("")
    chatting.row("the first").click()
    expect(chatting.message("the first")).to_be_visible()
    expect(chatting.composer).to_have_value("half a thou")
    page.get_by_role("button", name="Your profile").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog", name="Signing out loses 1 draft.")).to_be_visible()


def test_a_longer_name_loses_nothing_in_a_full_browser(chatting: Window, alice: Person) -> None:
    page = chatting.page
    chatting.composer.fill("half a thou")
    keep_drafts = "(prefix) => { for (let n = 0; n < 20; n++) localStorage.setItem(prefix + n, 'draft ' + n); }"
    page.evaluate(keep_drafts, f"pychat.of.{alice.username}/draft/")
    page.evaluate(FILL_THE_BROWSER)
    chatting.change_username(new_name().ljust(32, "x"))
    drafts = page.evaluate(
        "Object.keys(localStorage).filter((key) => key.includes('/draft/')).map((key) => localStorage[key])"
    )
    assert sorted(drafts) == sorted(["half a thou", *[f"draft {n}" for n in range(20)]])
    expect(chatting.connection).to_contain_text("some of it did not come along to your new name")
    page.reload()
    expect(chatting.connection).to_be_hidden()


def test_a_new_name_takes_along_a_draft_that_there_was_no_room_for(
    chatting: Window, alice: Person, eve: Person
) -> None:
    """The session and a shorter name make some."""
    page = chatting.page
    eve.says(eve.chat_with(alice), "from Eve")
    expect(chatting.row("from Eve")).to_be_visible()
    page.evaluate(FILL_THE_BROWSER)
    chatting.composer.fill("half a thou")
    expect(page.get_by_role("alert").filter(has_text="no room left to keep what you write")).to_be_visible()
    chatting.row("from Eve").click()
    expect(chatting.message("from Eve")).to_be_visible()
    chatting.change_username(new_name()[:8])
    page.keyboard.press("Escape")
    chatting.row("the first").click()
    expect(chatting.message("the first")).to_be_visible()
    expect(chatting.composer).to_have_value("half a thou")


@pytest.mark.provokes(500)
def test_a_message_that_the_server_fails_at_holds_up_no_other(
    chatting: Window, alice: Person, bob: Person, eve: Person
) -> None:
    def fail(route: Route) -> None:
        if "poison" in (route.request.post_data or ""):
            route.fulfill(status=500, body='{"code": "unexpected_failure"}')
        else:
            route.continue_()

    eve.says(eve.chat_with(alice), "from Eve")
    chatting.page.route("**/v2/chats/*/messages", fail)
    chatting.write("poison")
    chatting.row("from Eve").click()
    expect(chatting.message("from Eve")).to_be_visible()
    chatting.write("to another")
    chatting.expect_sent("to another")
    chatting.row("poison").click()
    expect(chatting.message("poison")).to_contain_text("Not sent. The server failed at this")
    chatting.page.unroute_all()
    chatting.message("poison").get_by_role("button", name="Try again").click()
    chatting.expect_sent("poison")
    assert texts_seen_by(eve) == ["from Eve", "to another"]
    assert texts_seen_by(bob) == ["the first", "poison"]


HURRY = """
    const { timeout } = AbortSignal;
    AbortSignal.timeout = (ms) => timeout(ms === 90_000 ? 300 : ms);
    window.told = [];
    addEventListener("DOMContentLoaded", () => {
        const connection = document.querySelector("[data-part=connection]");
        new MutationObserver(() => connection.hidden || told.push(connection.textContent))
            .observe(connection, { childList: true, characterData: true, attributes: true });
    });
"""


def test_polls_that_are_held_for_very_long_are_no_trouble(ann: Window, alice: Person, bob: Person) -> None:
    """Each is given up before the server answers it."""
    given_up: list[str] = []

    def note(request: Request) -> None:
        if "/messages/poll/" in request.url:
            given_up.append(request.url)

    ann.page.add_init_script(HURRY)
    ann.page.on("requestfailed", note)
    ann.sign_in(alice.username)
    for _ in range(3):
        ann.wait_for(given_up)
        given_up.clear()
    bob.says(bob.chat_with(alice), "heard all the same")
    expect(ann.row("heard all the same")).to_be_visible()
    assert ann.page.evaluate("told") == []


@pytest.mark.provokes(403)
def test_what_is_not_sent_is_told_in_the_list(chatting: Window, alice: Person, bob: Person) -> None:
    page = chatting.page
    page.route("**/v2/chats/*/messages", _unless_post)
    chatting.write("one")
    expect(chatting.row("Somebody")).to_contain_text("Waiting: one")
    # Each over the one before, which stays until then: between the two it would be sent.
    page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=403, body='{"code": "may_not_post"}'))
    page.reload()
    expect(chatting.row("Somebody")).to_contain_text("Not sent: one")
    chatting.write("two")
    expect(chatting.row("Somebody")).to_contain_text("Not sent: two")
    chatting.message("two").get_by_role("button", name="Discard").click()
    expect(chatting.row("Somebody")).to_contain_text("Not sent: one")
    page.route("**/v2/chats/*/messages", _unless_post)
    chatting.write("three")
    expect(chatting.message("three")).to_contain_text("The server cannot be reached.")
    expect(chatting.row("Somebody")).to_contain_text("Not sent: one")
    chatting.message("one").get_by_role("button", name="Discard").click()
    expect(chatting.row("Somebody")).to_contain_text("Waiting: three")


@pytest.mark.provokes(403)
def test_the_day_stays_above_the_first_that_is_not_sent(ann: Window, alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    ann.page.clock.install(time=datetime.combine(datetime.now().astimezone(), time(12)))  # no midnight comes
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=403, body='{"code": "may_not_post"}'))
    for text in ("one", "two"):
        ann.write(text)
        expect(ann.message(text)).to_contain_text("Not sent.")
    ann.message("one").get_by_role("button", name="Discard").click()
    expect(ann.message("one")).to_have_count(0)
    expect(ann.message("two")).to_contain_text("Today")


@pytest.mark.provokes(429)
def test_a_clock_that_is_set_back_holds_up_no_message(chatting: Window) -> None:
    tries: list[str] = []

    def refuse_the_first(route: Route) -> None:
        if route.request.method == "POST" and not tries:
            tries.append(route.request.url)
            route.fulfill(status=429, headers={"retry-after": "1"}, body='{"code": "rate_limited"}')
        else:
            route.continue_()

    page = chatting.page
    now = datetime.now().astimezone()
    page.clock.install()
    page.clock.pause_at(now + timedelta(minutes=1))  # until the refusal is seen
    page.route("**/v2/chats/*/messages", refuse_the_first)
    chatting.write("patience")
    expect(chatting.message("patience")).to_contain_text("You write faster than is allowed.")
    page.clock.set_system_time(now - timedelta(hours=1))
    page.clock.resume()
    chatting.expect_sent("patience")
