"""By keyboard alone, on a phone, and for those who cannot see it."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it ships no types
from playwright.sync_api import Page, Route, expect

from tests.support.browser import Browsing, Window
from tests.support.client import PASSWORD, Person, new_name
from tests.support.door import through_the_edge

pytestmark = through_the_edge

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_all_of_it_by_keyboard(ann: Window, bob: Person) -> None:
    page = ann.page
    username = new_name()
    ann.visit()
    expect(page.get_by_role("form", name="Make an account").get_by_label("Username")).to_be_focused()
    page.keyboard.type(username)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_text("No chats yet.")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(bob.username[:12])
    found = page.get_by_role("list", name="People").get_by_role("link")
    expect(found).to_have_count(1)  # before, it may be the answer to a shorter beginning
    expect(found).to_contain_text(f"@{bob.username}")
    page.keyboard.press("ArrowDown")
    expect(found).to_be_focused()
    page.keyboard.press("Enter")

    expect(ann.composer).to_be_focused()
    page.keyboard.type("one line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and another")
    page.keyboard.press("Enter")
    ann.expect_sent("one line\nand another")
    expect(ann.composer).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("region", name="Messages with Somebody")).to_be_focused()
    page.keyboard.press("Escape")
    expect(ann.composer).to_be_focused()
    page.keyboard.press("Escape")
    expect(ann.row("Somebody")).to_be_focused()
    expect(ann.composer).to_be_hidden()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_alt_and_arrows_go_from_chat_to_chat(ann: Window, alice: Person, bob: Person, eve: Person) -> None:
    for number, other in enumerate((bob, eve)):
        other.says(alice.chat_with(other), f"message {number}")
    ann.sign_in(alice.username)
    expect(ann.page.get_by_role("list", name="Chats").get_by_role("link")).to_have_count(2)
    ann.page.keyboard.press("Alt+ArrowDown")
    expect(ann.message("message 1")).to_be_visible()
    ann.page.keyboard.press("Alt+ArrowDown")
    expect(ann.message("message 0")).to_be_visible()
    ann.page.keyboard.press("Alt+ArrowUp")
    expect(ann.message("message 1")).to_be_visible()


def test_under_a_dialog_the_chat_stays(ann: Window, alice: Person, bob: Person, eve: Person) -> None:
    for number, other in enumerate((bob, eve)):
        other.says(alice.chat_with(other), f"message {number}")
    ann.sign_in(alice.username)
    ann.row("message 1").click()
    expect(ann.message("message 1")).to_be_visible()
    ann.peer.click()
    expect(ann.page.get_by_role("dialog")).to_contain_text(f"@{eve.username}")
    ann.page.keyboard.press("Alt+ArrowDown")
    ann.page.keyboard.press("Escape")
    expect(ann.page.get_by_role("dialog")).to_be_hidden()
    expect(ann.row("message 1")).to_have_attribute("aria-current", "page")
    ann.page.keyboard.press("Alt+ArrowDown")
    expect(ann.message("message 0")).to_be_visible()


def test_on_a_phone_list_and_chat_take_turns(browsing: Browsing, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "Hello from afar")
    phone = browsing.window(**PHONE)
    phone.sign_in(alice.username)
    expect(phone.composer).to_be_hidden()
    phone.row("Somebody").tap()
    expect(phone.message("Hello from afar")).to_be_visible()
    expect(phone.row("Somebody")).to_be_hidden()
    phone.composer.fill("On my way")
    # There Enter begins a line.
    phone.composer.press("Enter")
    phone.composer.press_sequentially("home")
    phone.page.get_by_role("button", name="Send").tap()
    phone.expect_sent("On my way\nhome")
    assert phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.page.get_by_role("link", name="Back to the chats").tap()
    expect(phone.row("Somebody")).to_contain_text("You: On my way")
    expect(phone.row("Somebody")).to_be_focused()
    phone.page.go_back()
    expect(phone.message("Hello from afar")).to_be_visible()


@pytest.fixture(params=["light", "dark", "phone"])
def looked_at(request: pytest.FixtureRequest, browsing: Browsing) -> Window:
    """A window in each of the layouts and schemes. What is still fading in would be judged by its half colour."""
    options: dict[str, Any] = PHONE if request.param == "phone" else {"color_scheme": request.param}
    return browsing.window(**options, reduced_motion="reduce")


def test_nobody_is_shut_out(looked_at: Window, alice: Person, bob: Person) -> None:
    page = looked_at.page
    looked_at.sign_up("a", password="a")
    username = page.get_by_role("form", name="Make an account").get_by_label("Username")
    expect(username).to_have_attribute("aria-invalid", "true")
    expect_accessible(page)
    for text in ("Hello", "See https://example.org"):
        bob.says(alice.chat_with(bob), text)
    page.get_by_role("button", name="Sign in").click()
    expect_accessible(page)
    looked_at.sign_in(alice.username)
    expect(looked_at.row("Somebody").get_by_label("2 unread")).to_be_visible()
    expect_accessible(page)
    looked_at.open("Somebody")
    looked_at.composer.fill("An answer")
    page.get_by_role("button", name="Send").click()
    looked_at.expect_sent("An answer")
    page.context.set_offline(True)
    looked_at.composer.fill("A late one")
    page.get_by_role("button", name="Send").click()
    expect(looked_at.connection).to_be_visible()
    expect_accessible(page)
    page.context.set_offline(False)
    looked_at.expect_sent("A late one")
    looked_at.peer.click()
    expect(page.get_by_role("dialog")).to_contain_text(f"@{bob.username}")
    expect_accessible(page)


@pytest.mark.provokes(401, 403)
def test_nobody_is_shut_out_of_the_rest(looked_at: Window, alice: Person, bob: Person) -> None:
    page = looked_at.page
    looked_at.sign_in(alice.username)
    expect(page.get_by_text("No chats yet.")).to_be_visible()
    expect_accessible(page)
    page.get_by_role("searchbox").fill(bob.username)
    expect(page.get_by_role("list", name="People").get_by_role("link")).to_have_count(1)
    expect_accessible(page)
    looked_at.find(bob.username)
    page.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=403, body='{"code": "may_not_post"}'))
    looked_at.composer.fill("Refused")
    page.get_by_role("button", name="Send").click()
    expect(looked_at.message("Refused").get_by_role("button", name="Try again")).to_be_visible()
    expect_accessible(page)
    if page.get_by_role("link", name="Back to the chats").is_visible():
        page.get_by_role("link", name="Back to the chats").click()
    page.get_by_role("button", name="Your profile").click()
    for more in ("Change the password", "Delete the account"):
        page.get_by_text(more).click()
    expect_accessible(page)
    page.get_by_role("button", name="Sign out").click()
    question = page.get_by_role("dialog", name="Signing out loses 1 message not sent yet.")
    expect(question).to_be_visible()
    expect_accessible(page)
    question.get_by_role("button", name="Stay").click()
    page.get_by_role("button", name="Close").click()
    assert alice.delete(alice.username).status_code == 200
    expect(page.get_by_role("dialog", name="Still you?")).to_be_visible()
    expect_accessible(page)


def expect_accessible(page: Page) -> None:
    """What axe-core knows to look for, contrast included."""
    violations = Axe().run(page).response["violations"]
    found = [(rule["id"], rule["impact"], [node["html"] for node in rule["nodes"]]) for rule in violations]
    assert not found, found


def test_a_link_to_a_chat_shows_the_list_until_the_chat_is_known(
    browsing: Browsing, alice: Person, bob: Person
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    bob.says(alice.chat_with(bob), "Hello")
    phone = browsing.window(**PHONE)
    phone.sign_in(alice.username)
    phone.open("Somebody")
    expect(phone.peer).to_be_focused()
    phone.page.route(re.compile(r"/v2/chats\?"), hold)
    phone.page.reload()
    expect(phone.page.get_by_text("Loading your chats…")).to_be_visible()
    for route in held:
        route.continue_()
    phone.page.unroute_all()
    expect(phone.message("Hello")).to_be_visible()


DURATIONS = """() => [".arriving", "button"].map((selector) => {
    const { animationDuration, transitionDuration } = getComputedStyle(document.querySelector(selector));
    return `${animationDuration}, ${transitionDuration}`;
}).join(", ").split(", ")"""


@pytest.mark.parametrize("preference", ["reduce", "no-preference"])
def test_who_wants_no_motion_gets_none(browsing: Browsing, alice: Person, bob: Person, preference: Any) -> None:
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    window = browsing.window(reduced_motion=preference)
    window.sign_in(alice.username)
    window.open("Somebody")
    expect(window.message("the first")).to_be_visible()
    bob.says(chat_id, "arriving")
    expect(window.message("arriving")).to_be_visible()
    durations = set(window.page.evaluate(DURATIONS))
    assert durations == ({"0s"} if preference == "reduce" else {"0s", "0.14s"})


def test_many_messages_at_once_are_told_by_their_number(ann: Window, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    expect(ann.message("the first")).to_be_visible()
    ann.page.context.set_offline(True)
    expect(ann.connection).to_be_visible()
    for number in range(5):
        bob.says(chat_id, f"meanwhile {number}")
    ann.page.context.set_offline(False)
    expect(ann.page.locator("#announcements")).to_have_text("Somebody: 5 new messages")
