"""A browser, and the server that its windows are on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Browsing, Window, chromium
from tests.support.client import Person
from tests.support.server import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module, and ended with it: Playwright's loop does not go together with those of other tests."""
    with chromium() as launched:
        yield launched


@pytest.fixture
def browsing(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Browsing]:
    provoked = {status for marker in request.node.iter_markers("provokes") for status in marker.args}
    windows = Browsing(browser, server.url, provoked)
    yield windows
    windows.close()


@pytest.fixture
def ann(browsing: Browsing) -> Window:
    """A window with nobody signed in yet."""
    return browsing.window()


@pytest.fixture
def ben(browsing: Browsing) -> Window:
    return browsing.window()


@pytest.fixture
def chatting(ann: Window, alice: Person, bob: Person) -> Window:
    """Alice's window, in her chat with Bob."""
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    expect(ann.message("the first")).to_be_visible()
    return ann
