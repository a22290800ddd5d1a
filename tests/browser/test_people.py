"""Finding people by the beginning of their name."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import Window
from tests.support.client import Person
from tests.support.door import through_the_edge

pytestmark = through_the_edge


@pytest.fixture
def hold(ann: Window, alice: Person) -> Callable[[Person], list[Route]]:
    """Alice has signed in; what is asked for by this person's name stays unanswered, and is here."""
    ann.sign_in(alice.username)

    def begin(person: Person) -> list[Route]:
        held: list[Route] = []

        def keep(route: Route) -> None:
            held.append(route)

        ann.page.route(re.compile(f"/v2/users.query={person.username}"), keep)
        return held

    return begin


def test_a_name_may_be_typed_with_the_sign_it_is_shown_with(ann: Window, alice: Person, bob: Person) -> None:
    ann.sign_in(alice.username)
    ann.find(f"@{bob.username}")
    expect(ann.page.get_by_role("button", name="Somebody")).to_contain_text(f"@{bob.username}")


def test_enter_opens_whom_one_has_typed(
    ann: Window, hold: Callable[[Person], list[Route]], bob: Person, eve: Person
) -> None:
    held = hold(eve)
    search = ann.page.get_by_role("searchbox")
    people = ann.page.get_by_role("list", name="People").get_by_role("link")
    search.fill(bob.username)
    expect(people).to_contain_text([f"@{bob.username}"])
    search.fill(eve.username)
    expect(people).to_have_count(0)
    search.press("Enter")
    while not held:
        ann.page.wait_for_timeout(20)
    held[0].continue_()
    expect(ann.page.get_by_role("button", name="Somebody")).to_contain_text(f"@{eve.username}")


def test_a_search_that_failed_shows_nobody(
    ann: Window, hold: Callable[[Person], list[Route]], bob: Person, eve: Person
) -> None:
    held = hold(eve)
    search = ann.page.get_by_role("searchbox")
    people = ann.page.get_by_role("list", name="People").get_by_role("link")
    search.fill(bob.username)
    expect(people).to_contain_text([f"@{bob.username}"])
    search.fill(eve.username)
    while not held:
        ann.page.wait_for_timeout(20)
    held[0].abort()
    expect(ann.page.get_by_text("The server cannot be reached.")).to_be_visible()
    expect(people).to_have_count(0)
