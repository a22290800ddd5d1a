"""The server goes and comes back under an open page."""

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from tests.support.browser import Browsing, write_by_turns
from tests.support.door import through_the_edge
from tests.support.history import texts_seen_by
from tests.support.server import Options, Server, running

pytestmark = through_the_edge


def test_a_page_that_is_open_over_a_restart_loses_nothing(
    browser: Browser, server_options: Callable[..., Options]
) -> None:
    options = server_options()
    first = Server(options)
    browsing = Browsing(browser, first.url, provoked=[410, 503])
    alice, bob = first.person(), first.person()
    bob.says(alice.chat_with(bob), "before")
    window = browsing.window()
    window.sign_in(alice.username)
    tabs = [window, window.another_tab()]
    tabs[1].visit()
    for tab in tabs:
        tab.open("Somebody")
        expect(tab.message("before")).to_be_visible()
    first.stop()

    written = [f"into the void {number}" for number in range(6)]
    for tab in tabs:
        expect(tab.connection).to_contain_text("No connection.")
    write_by_turns(tabs, written)
    for tab in tabs:
        expect(tab.texts).to_have_text(["before", *written])
        expect(tab.page.get_by_role("img", name="Waiting to be sent")).to_have_count(len(written))

    address = first.url.removeprefix("http://")
    same = Options(options.folder, {**options.environment, "PYCHAT_HTTP__LISTEN": address}, options.dynamic_config)
    with running(same) as second:
        for tab in tabs:
            expect(tab.page.get_by_role("img", name="Sent", exact=True)).to_have_count(len(written))
            expect(tab.connection).to_be_hidden()
        bob.http = second.http
        bob.says(bob.chat_with(alice), "after")
        for tab in tabs:
            expect(tab.texts).to_have_text(["before", *written, "after"])
        assert texts_seen_by(bob) == ["before", *written, "after"]
        browsing.close()
