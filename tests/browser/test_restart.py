"""The server goes and comes back under an open page."""

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from tests.support.browser import Browsing
from tests.support.door import through_the_edge
from tests.support.server import Options, Server, running

pytestmark = through_the_edge


def test_a_page_that_is_open_over_a_restart_loses_nothing(
    browser: Browser, server_options: Callable[..., Options]
) -> None:
    options = server_options()
    first = Server(options)
    browsing = Browsing(browser, first.url)
    alice, bob = first.person(), first.person()
    bob.says(alice.chat_with(bob), "before")
    window = browsing.window()
    window.sign_in(alice.username)
    window.open("Somebody")
    expect(window.message("before")).to_be_visible()
    first.stop()

    expect(window.connection).to_contain_text("No connection.")
    window.write("into the void")
    expect(window.message("into the void").get_by_role("img", name="Waiting to be sent")).to_be_visible()

    address = first.url.removeprefix("http://")
    same = Options(options.folder, {**options.environment, "PYCHAT_HTTP__LISTEN": address}, options.dynamic_config)
    with running(same) as second:
        window.expect_sent("into the void")
        expect(window.connection).to_be_hidden()
        bob.http = second.http
        bob.says(bob.chat_with(alice), "after")
        expect(window.texts).to_have_text(["before", "into the void", "after"])
        browsing.close()
