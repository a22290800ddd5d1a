"""What time does to a page that stays open."""

from datetime import datetime, time

from playwright.sync_api import expect

from tests.support.browser import Browsing
from tests.support.client import Person
from tests.support.door import through_the_edge

pytestmark = through_the_edge


def test_at_midnight_today_becomes_yesterday(browsing: Browsing, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "before midnight")
    window = browsing.window()
    page = window.page
    # Not the time it is: it may be midnight before the test is ready for it, and just after the message came.
    [chat] = bob.request("GET", "/v2/chats").json()["items"]
    noon = datetime.combine(datetime.fromisoformat(chat["last_message"]["sent_at"]).astimezone(), time(12))
    page.clock.install(time=noon)
    window.sign_in(alice.username)
    window.open("Somebody")
    day = page.locator(".message .day:visible")
    expect(day).to_have_text(["Today"])
    page.clock.fast_forward("12:01:01")
    expect(day).to_have_text(["Yesterday"])
    expect(window.row("Somebody")).to_contain_text("Yesterday")
    # The server's midnight has not come: what waits goes by the page's clock.
    page.context.set_offline(True)
    window.write("after midnight")
    expect(day).to_have_text(["Yesterday", "Today"])
