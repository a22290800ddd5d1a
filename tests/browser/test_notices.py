"""Being told of new messages while one looks elsewhere."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import Browsing, Window
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.wait import wait_until

pytestmark = through_the_edge

# What a browser shows outside of the page, and a test cannot see there.
KEEP_NOTIFICATIONS = """
window.shown = [];
window.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    shown.push({ title, body: options.body, notification: this });
  }
};
"""


@pytest.fixture
def notified(browsing: Browsing, alice: Person, bob: Person) -> Window:
    """Alice's window, which may notify her, with nobody before it; her chat with Bob is not open."""
    bob.says(alice.chat_with(bob), "the first")
    window = browsing.window(permissions=["notifications"])
    window.page.add_init_script(KEEP_NOTIFICATIONS)
    window.sign_in(alice.username)
    expect(window.row("Somebody").get_by_label("1 unread")).to_be_visible()
    button = window.page.get_by_role("button", name="Notify me of new messages")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    window.look_away()
    return window


def shown(window: Window) -> list[dict[str, Any]]:
    found = window.page.evaluate("shown.map(({ title, body }) => ({ title, body }))")
    assert isinstance(found, list)
    return found


def test_a_message_notifies_who_looks_elsewhere(notified: Window, alice: Person, bob: Person) -> None:
    page = notified.page
    bob.says(bob.chat_with(alice), "are you there?")
    expect(page).to_have_title("(2) pychat")
    wait_until(lambda: len(shown(notified)) > 0, "there is a notification")
    # Not of what was there before.
    assert shown(notified) == [{"title": "Somebody", "body": "are you there?"}]

    notified.look_back()
    page.evaluate("shown[0].notification.onclick()")
    expect(notified.message("are you there?")).to_be_visible()
    expect(page).to_have_title("pychat")


def test_whoever_looks_at_the_page_or_wants_none_gets_none(notified: Window, alice: Person, bob: Person) -> None:
    page = notified.page
    button = page.get_by_role("button", name="Notify me of new messages")
    chat_id = bob.chat_with(alice)
    notified.look_back()
    bob.says(chat_id, "seen")
    expect(page).to_have_title("(2) pychat")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    notified.look_away()
    bob.says(chat_id, "unwanted")
    expect(page).to_have_title("(3) pychat")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    bob.says(chat_id, "wanted again")
    wait_until(lambda: len(shown(notified)) > 0, "there is a notification")
    assert shown(notified) == [{"title": "Somebody", "body": "wanted again"}]


def test_of_two_tabs_one_notifies(notified: Window, alice: Person, bob: Person) -> None:
    other = notified.another_tab()
    other.page.add_init_script(KEEP_NOTIFICATIONS)
    other.visit()
    expect(other.row("Somebody")).to_be_visible()
    other.look_away()
    bob.says(bob.chat_with(alice), "once")
    for tab in (notified, other):
        expect(tab.page).to_have_title("(2) pychat")
    wait_until(lambda: len(shown(notified)) > 0, "there is a notification")
    # Whatever the other tab would show of the first it shows before that of the second.
    bob.says(bob.chat_with(alice), "twice")
    expect(other.page).to_have_title("(3) pychat")
    wait_until(lambda: len(shown(notified)) > 1, "there is another notification")
    assert [notice["body"] for notice in shown(notified)] == ["once", "twice"]
    assert shown(other) == []
