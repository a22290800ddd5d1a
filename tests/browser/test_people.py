"""Finding people by the beginning of their name."""

import re

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.support.browser import Window
from tests.support.client import Person
from tests.support.door import through_the_edge

pytestmark = through_the_edge


@pytest.fixture
def asked(ann: Window, alice: Person, bob: Person, eve: Person) -> list[Route]:
    """Alice sees Bob, whom she looked for, and has just typed Eve's name over his: what is asked by that stays
    unanswered, and is here."""
    asked: list[Route] = []

    def keep(route: Route) -> None:
        asked.append(route)

    ann.sign_in(alice.username)
    ann.page.route(re.compile(f"/v2/users.query={eve.username}"), keep)
    search = ann.page.get_by_role("searchbox")
    search.fill(bob.username)
    expect(people(ann)).to_contain_text([f"@{bob.username}"])
    search.fill(eve.username)
    return asked


def people(window: Window) -> Locator:
    return window.page.get_by_role("list", name="People").get_by_role("link")


def the_first(asked: list[Route], window: Window) -> Route:
    window.wait_for(asked)
    return asked[0]


def test_a_name_may_be_typed_with_the_sign_it_is_shown_with(ann: Window, alice: Person, bob: Person) -> None:
    ann.sign_in(alice.username)
    ann.find(f"@{bob.username}")
    expect(ann.peer).to_contain_text(f"@{bob.username}")


def test_enter_opens_whom_one_has_typed(ann: Window, asked: list[Route], eve: Person) -> None:
    expect(people(ann)).to_have_count(0)
    ann.page.get_by_role("searchbox").press("Enter")
    the_first(asked, ann).continue_()
    expect(ann.peer).to_contain_text(f"@{eve.username}")


def test_what_comes_meanwhile_takes_the_focus_from_nobody(ann: Window, alice: Person, bob: Person, eve: Person) -> None:
    chat_id = alice.chat_with(bob)
    ann.sign_in(alice.username)
    search = ann.page.get_by_role("searchbox")
    search.fill(eve.username)
    expect(people(ann)).to_have_count(1)
    search.press("ArrowDown")
    expect(people(ann)).to_be_focused()
    bob.says(chat_id, "meanwhile")
    expect(ann.page).to_have_title("(1) pychat")
    expect(people(ann)).to_be_focused()

    ann.page.keyboard.press("Enter")
    expect(ann.peer).to_contain_text(f"@{eve.username}")
    ann.row("meanwhile").focus()
    eve.says(eve.chat_with(alice), "and more")
    expect(ann.page.get_by_role("list", name="Chats").get_by_role("link").first).to_contain_text("and more")
    expect(ann.row("meanwhile")).to_be_focused()
    bob.says(chat_id, "moves up")
    expect(ann.page.get_by_role("list", name="Chats").get_by_role("link").first).to_contain_text("moves up")
    expect(ann.row("moves up")).to_be_focused()


def test_a_search_that_failed_shows_nobody(ann: Window, asked: list[Route]) -> None:
    the_first(asked, ann).abort()
    expect(ann.page.get_by_text("The server cannot be reached.")).to_be_visible()
    expect(people(ann)).to_have_count(0)
