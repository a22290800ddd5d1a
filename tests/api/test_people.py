"""`/v2/users`: profiles, and finding people by the beginning of a name."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.client import Person, new_name
from tests.support.expect import expect_problem
from tests.support.server import Server


def search(person: Person, query: str, more: str = "") -> dict[str, Any]:
    answer = person.request("GET", f"/v2/users?query={quote(query)}{more}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"items", "next"}
    return dict(body)


def names(page: dict[str, Any]) -> list[str]:
    return [user["username"] for user in page["items"]]


def walk(person: Person, query: str, limit: int) -> list[str]:
    """The usernames of all pages."""
    found: list[str] = []
    following = ""
    while True:
        page = search(person, query, f"&limit={limit}{following}")
        assert len(page["items"]) <= limit
        found += names(page)
        if page["next"] is None:
            return found
        following = f"&after={page['next']}"


def named(server: Server, username: str, display_name: str) -> Person:
    person = server.person(username)
    assert person.patch(username, display_name=display_name).status_code == 200
    return person


def test_a_profile(alice: Person, bob: Person) -> None:
    bob.patch(bob.username, display_name="Bob", biography="A builder")
    answer = alice.request("GET", f"/v2/users/{bob.username.upper()}")
    assert answer.status_code == 200
    assert answer.json() == {"username": bob.username, "display_name": "Bob", "biography": "A builder"}


@pytest.mark.parametrize("name", ["nobody-at-all", "1", "%00", "a%20b", "%F0%9F%98%80", "x" * 500])
def test_no_profile_of_nobody(alice: Person, name: str) -> None:
    expect_problem(alice.request("GET", f"/v2/users/{name}"), "user_not_found")


def test_deleted_users_are_neither_shown_nor_found(alice: Person, bob: Person) -> None:
    assert names(search(alice, bob.username)) == [bob.username]
    bob.delete(bob.username)
    expect_problem(alice.request("GET", f"/v2/users/{bob.username}"), "user_not_found")
    assert search(alice, bob.username) == {"items": [], "next": None}


def test_by_the_beginning_of_either_name_in_any_case(server: Server, alice: Person) -> None:
    tag = new_name()[:10]
    lower = named(server, f"{tag}a", f"\u00c4rmel {tag}")
    other = named(server, new_name(), f"{tag.upper()} Smith")
    assert search(alice, tag[:-1].upper() + tag[-1])["items"] == [
        {"username": lower.username, "display_name": f"\u00c4rmel {tag}"},
        {"username": other.username, "display_name": f"{tag.upper()} Smith"},
    ]
    assert names(search(alice, f"\u00e4RMEL {tag[:5]}")) == [lower.username]
    # The beginning, not the middle.
    assert search(alice, tag[1:])["items"] == []
    assert names(search(alice, f"{tag} s")) == [other.username]


def test_oneself_is_found(alice: Person) -> None:
    assert names(search(alice, alice.username)) == [alice.username]


def test_nothing_is_a_wildcard(server: Server, alice: Person) -> None:
    tag = new_name()[:10]
    named(server, f"{tag}-x", f"{tag}.x")
    with_underscore = named(server, f"{tag}_x", "Somebody")
    assert names(search(alice, f"{tag}_")) == [with_underscore.username]
    for wild in (f"{tag}%", f"{tag}?", f"{tag}*", f"{tag}\\", f"{tag}.*", "%", "_%", "' OR ''='"):
        assert search(alice, wild)["items"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 50])
def test_pages_hold_everybody_once_in_one_order(server: Server, alice: Person, limit: int) -> None:
    tag = new_name()[:8]
    by_username = [
        named(server, f"{tag}{number}", name) for number, name in enumerate([f"{tag} z", f"{tag}a", "Other"])
    ]
    # All that is before, between and behind those in the order of display names; some share one.
    others = [named(server, new_name(), f"{tag}{name}") for name in ["", " a", "a", "a", "\U0010ffff\U0010ffff", "zz"]]
    found = walk(alice, tag, limit)
    assert found[:3] == [person.username for person in by_username]
    assert sorted(found[3:]) == sorted(person.username for person in others)
    assert found == walk(alice, tag, 50)


def test_twenty_unless_told_otherwise(server: Server, alice: Person) -> None:
    tag = new_name()[:8]
    people = [server.person(f"{tag}{number:02}") for number in range(21)]
    page = search(alice, tag)
    assert names(page) == [person.username for person in people[:20]]
    assert names(search(alice, tag, f"&after={page['next']}")) == [people[20].username]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["query"]),
        ("query=", ["query"]),
        (f"query={'x' * 51}", ["query"]),
        ("query=%00", ["query"]),
        ("query=a%00b", ["query"]),
        ("query=a&limit=0", ["limit"]),
        ("query=a&limit=51", ["limit"]),
        ("query=a&query=b", ["query"]),
        ("query=a&after=x", ["after"]),
        ("query=a&after=WyJcdTAwMDAiLG51bGxd", ["after"]),
        ("query=a&name=b", ["name"]),
    ],
)
def test_wrong_parameters_are_named(alice: Person, query: str, fields: list[str]) -> None:
    expect_problem(alice.request("GET", f"/v2/users?{query}"), "validation_failed", *fields)


@pytest.mark.parametrize("query", ["query=%FF", "query=%C3", "query=%ED%A0%80", "&".join("a" * 30)])
def test_what_is_no_query_string(alice: Person, query: str) -> None:
    expect_problem(alice.request("GET", f"/v2/users?{query}"), "malformed_request")


def test_fifty_characters_may_be_asked_for(alice: Person) -> None:
    assert search(alice, "\U0001f600" * 50) == {"items": [], "next": None}
