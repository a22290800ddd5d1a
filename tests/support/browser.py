"""People who sit at a browser."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    expect,
    sync_playwright,
)

from tests.support.client import PASSWORD

# The machine of the tests may be busy; nothing waits that long where all is well.
WITHIN_MS = 60_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

expect.set_options(timeout=WITHIN_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, without a window."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "There is no Chromium on this machine. Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, env={**os.environ, "LANG": "C.UTF-8"})
        yield browser
        browser.close()


class Browsing:
    """Opens windows on one server, and keeps what their consoles say, which hosts they ask, and what fails.

    Args:
        browser: whose windows.
        url: the server's.
        provoked: the statuses of 400 and above that the test means to have.
    """

    def __init__(self, browser: Browser, url: str, provoked: Collection[int] = ()) -> None:
        self.url = url
        self._provoked = provoked
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []

    def window(self, **options: Any) -> Window:
        """A window of a browser of its own, as far as the page can tell."""
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}} | options
        context = self._browser.new_context(**options)
        context.set_default_timeout(WITHIN_MS)
        self._contexts.append(context)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._complaints.append(str(error.error)))
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        return Window(context.new_page(), self.url)

    def close(self) -> None:
        """Ends all windows; nothing in them may have gone wrong."""
        for context in self._contexts:
            context.close()
        assert not self._complaints, self._complaints

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium notes each answer of 400 and above, which are looked at by their status, and each request that a cut
        # line fails: tests that cut it look at what the page makes of that.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme != "data" and not request.url.startswith(f"{self.url}/"):
            self._complaints.append(f"a request to {request.url}")

    def _on_response(self, response: Response) -> None:
        # As long as the server has not noticed that a tab is gone, the next one's poll finds the session taken.
        is_taken = response.status == 409 and "/messages/poll/" in response.url
        if response.status >= 400 and response.status not in self._provoked and not is_taken:
            self._complaints.append(f"{response.status} for {response.request.method} {response.url}")


class Window:
    """One tab, and the person before it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def another_tab(self) -> Window:
        """A second tab of the same browser."""
        return Window(self.page.context.new_page(), self.url)

    def sleeping_tab(self) -> Window:
        """As `another_tab`, but as when the browser lets it sleep: it hears nothing of the others."""
        tab = self.another_tab()
        tab.page.add_init_script("addEventListener('storage', (event) => event.stopImmediatePropagation())")
        return tab

    def lose_first_answer(self, url: str) -> list[str]:
        """Has the first change at that URL reach the server, and no answer come back: it is in the list then."""
        lost: list[str] = []

        def lose(route: Route) -> None:
            if lost or route.request.method == "GET":
                route.continue_()
            else:
                lost.append(route.fetch().text())
                route.abort()

        self.page.route(url, lose)
        return lost

    def visit(self) -> None:
        self.page.goto(f"{self.url}/")

    def wait_for(self, kept: Sequence[object]) -> None:
        """Until something is in there, which a route or a listener puts there; the page goes on meanwhile."""
        deadline = time.monotonic() + WITHIN_MS / 1000
        while not kept:
            assert time.monotonic() < deadline, "waited in vain"
            self.page.wait_for_timeout(20)

    def look_away(self) -> None:
        """As when another window covers this one. Playwright has every page believe that it is looked at."""
        self.page.evaluate(
            """() => {
                Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
                document.hasFocus = () => false;
                dispatchEvent(new Event("blur"));
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )

    def look_back(self) -> None:
        self.page.evaluate(
            """() => {
                delete document.hidden;
                delete document.hasFocus;
                dispatchEvent(new Event("focus"));
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )

    def sign_up(self, username: str, display_name: str = "", password: str = PASSWORD) -> None:
        self.visit()
        form = self.page.get_by_role("form", name="Make an account")
        form.get_by_label("Username").fill(username)
        form.get_by_label("Name that others see").fill(display_name)
        form.get_by_label("Password").fill(password)
        form.get_by_role("button", name="Start chatting").click()

    def sign_in(self, username: str, password: str = PASSWORD) -> None:
        self.visit()
        self.page.get_by_role("button", name="Sign in").click()
        form = self.page.get_by_role("form", name="Welcome back")
        form.get_by_label("Username").fill(username)
        form.get_by_label("Password").fill(password)
        form.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("navigation", name="Chats")).to_be_visible()

    def expect_own_name(self, name: str = "Somebody") -> None:
        """Until one's own profile is shown: before, requests by one's username may still be under way."""
        expect(self.page.locator("[data-part=my-name]")).to_have_text(name)

    def change_username(self, new: str) -> None:
        """By one's own profile, which is open with the new name afterwards."""
        dialog = self.page.get_by_role("dialog")
        self.page.get_by_role("button", name="Your profile").click()
        dialog.get_by_label("Username", exact=True).fill(new)
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_be_hidden()
        self.page.get_by_role("button", name="Your profile").click()
        expect(dialog).to_contain_text(f"@{new}")

    def find(self, beginning: str) -> None:
        """Looks for somebody and takes the first found."""
        self.page.get_by_role("searchbox").fill(beginning)
        self.page.get_by_role("list", name="People").get_by_role("link").first.click()
        expect(self.composer).to_be_visible()

    def open(self, title: str) -> None:
        """Opens the chat of that title."""
        self.row(title).click()
        expect(self.composer).to_be_visible()

    def write(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name=re.compile("^Message to"))

    @property
    def peer(self) -> Locator:
        """Whom the open chat is with."""
        return self.page.locator("[data-part=peer]")

    @property
    def texts(self) -> Locator:
        """The messages of the open chat."""
        return self.page.locator(".message .text")

    def message(self, text: str) -> Locator:
        """The one message of exactly this text; that there are not two is asserted by every use."""
        return self.page.locator(".message").filter(has=self.page.get_by_text(text, exact=True))

    def expect_sent(self, text: str) -> None:
        expect(self.message(text).get_by_role("img", name="Sent", exact=True)).to_be_visible()

    def row(self, title: str) -> Locator:
        return self.page.get_by_role("list", name="Chats").get_by_role("link").filter(has_text=title)

    @property
    def connection(self) -> Locator:
        return self.page.locator("[data-part=connection]")


def write_by_turns(tabs: Sequence[Window], texts: Sequence[str]) -> None:
    """In tabs that show the same chat. Each follows the draft of the others, which may come late: before it is written
    in, it has heard how that ended."""
    for number, text in enumerate(texts):
        tabs[number % len(tabs)].write(text)
        for tab in tabs:
            expect(tab.message(text)).to_be_visible()
