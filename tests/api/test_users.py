"""Users: register, login, profiles."""

from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import perf_counter
from typing import Any

import pytest

from tests.support.client import PASSWORD, Api, Person, new_name
from tests.support.expect import expect_error
from tests.support.server import Server

# One broken rule a case.
BROKEN: list[tuple[str, object]] = [
    ("username", ""),
    ("username", "ab"),
    ("username", "a" * 33),
    ("username", "1abc"),
    ("username", "ab--cd"),
    ("username", "ab_-cd"),
    ("username", "ab cd"),
    ("username", "ab.cd"),
    ("username", "âbcd"),
    ("username", " abcd"),
    ("username", "abcd\n"),
    ("username", "ab\0cd"),
    ("password", ""),
    ("password", "Aa1!aaa"),
    ("password", "Aa1!" + "a" * 29),
    ("password", "aa1!aaaa"),
    ("password", "AA1!AAAA"),
    ("password", "Aa!aaaaa"),
    ("password", "Aa1aaaaa"),
    ("password", "Aa1! aaaa"),
    ("password", "Aa1!aaaä"),
    ("password", "Aa1!aaa\0"),
    ("display_name", ""),
    ("display_name", "A"),
    ("display_name", " A "),
    ("display_name", "A" * 51),
    ("display_name", "A  B"),
    ("display_name", "A\nB"),
    ("display_name", "A<B"),
    ("display_name", "A\0B"),
    ("biography", "b" * 181),
    ("biography", "a\n\n\n\nb"),
    ("biography", "a\n\r\n\r\n\n b"),
    ("biography", "a\x07b"),
    ("biography", "a\0b"),
    ("username", 1),
    ("username", None),
    ("password", ["Aa1!aaaa"]),
    ("display_name", {"a": "b"}),
    ("biography", 1.5),
    ("biography", True),
]

GOOD: list[tuple[str, str, str]] = [
    ("display_name", "  Ann-Marie_2.  ", "Ann-Marie_2."),
    ("display_name", "Зоя 🦉", "Зоя 🦉"),
    ("display_name", "🦉" * 50, "🦉" * 50),
    ("display_name", "ab", "ab"),
    ("biography", "", ""),
    ("biography", " \n one\ttwo\r\n\n\nthree \n", "one\ttwo\r\n\n\nthree"),
    ("biography", "🦉" * 180, "🦉" * 180),
]


def case(value: object) -> str:
    return ascii(value)[:20]


# Register


def test_register_answers_name_and_token(anybody: Api) -> None:
    name = new_name()
    answer = anybody.register(name)
    assert answer.status_code == 200
    assert set(answer.json()) == {"user"}
    assert set(answer.json()["user"]) == {"username", "token"}
    assert answer.json()["user"]["username"] == name
    assert Api(anybody.http, answer.json()["user"]["token"]).profile(name).status_code == 200


def test_a_name_is_lowercased_on_entry(anybody: Api) -> None:
    name = new_name()
    assert anybody.register(name.upper()).json()["user"]["username"] == name
    assert anybody.login(name.upper()).status_code == 200


@pytest.mark.parametrize(("field", "value"), BROKEN, ids=case)
def test_register_names_the_field_of_a_broken_rule(anybody: Api, field: str, value: object) -> None:
    user = {"username": new_name(), "password": PASSWORD, "display_name": "Somebody", "biography": "", field: value}
    answer = anybody.request("POST", "/v1/users/register", json={"user": user})
    assert set(expect_error(answer, 400, field)) == {field}


@pytest.mark.parametrize("field", ["username", "password", "display_name"])
def test_register_names_a_missing_field(anybody: Api, field: str) -> None:
    user = {"username": new_name(), "password": PASSWORD, "display_name": "Somebody"}
    del user[field]
    answer = anybody.request("POST", "/v1/users/register", json={"user": user})
    assert set(expect_error(answer, 400, field)) == {field}


def test_register_names_every_broken_and_missing_field(anybody: Api) -> None:
    answer = anybody.request("POST", "/v1/users/register", json={"user": {"username": "1", "biography": "b" * 181}})
    expect_error(answer, 400, "username", "password", "display_name", "biography")


def test_several_broken_rules_of_a_field_give_several_sentences(anybody: Api) -> None:
    errors = expect_error(anybody.register("1--"), 400, "username")
    assert len(errors["username"]) >= 2
    errors = expect_error(anybody.register(new_name(), password="short"), 400, "password")
    assert len(errors["password"]) >= 3


@pytest.mark.parametrize("body", [{}, {"user": None}, {"user": []}, {"user": "x"}, [], "x", 1, None], ids=case)
def test_register_needs_a_user(anybody: Api, body: object) -> None:
    # httpx takes `json=None` for no body at all, which is one more case worth having.
    expect_error(anybody.request("POST", "/v1/users/register", json=body), 400)


def test_register_ignores_unknown_keys(anybody: Api) -> None:
    assert anybody.register(new_name(), age=42, **{"": {}}).status_code == 200


@pytest.mark.parametrize("respell", [str.lower, str.upper])
def test_a_taken_name_is_refused(anybody: Api, alice: Person, respell: Any) -> None:
    expect_error(anybody.register(respell(alice.username)), 409, "user")


def test_of_many_at_once_one_gets_the_name(anybody: Api) -> None:
    name = new_name()
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(lambda _: anybody.register(name), range(4)))
    assert statuses == [200, 409, 409, 409]


@pytest.mark.parametrize(("field", "given", "kept"), GOOD, ids=case)
def test_what_the_rules_allow_is_kept(anybody: Api, alice: Person, field: str, given: str, kept: str) -> None:
    name = new_name()
    assert anybody.register(name, **{"display_name": "Somebody", field: given}).status_code == 200
    assert alice.profile(name).json()["user"][field] == kept
    assert alice.patch(alice.username, **{field: given}).status_code == 200
    assert alice.profile(alice.username).json()["user"][field] == kept


@pytest.mark.parametrize("name", ["abc", "a" * 32, "a-b_c", "_ab", "ab-", "a1_"])
def test_a_name_at_the_edge_of_the_rules_is_judged_good(anybody: Api, name: str) -> None:
    # Another parameter of this test may have run on this server before, in another case of the same suite.
    assert anybody.register(name).status_code in (200, 409)


@pytest.mark.parametrize("name", ["register", "login", "username", "start"])
def test_a_name_may_be_that_of_a_route(server: Server, name: str) -> None:
    person = server.person(name)
    assert person.profile(name).json()["user"]["username"] == name
    assert person.patch(name, biography="Hello").json() == {"username": name}
    assert person.profile(f"username/{name}").json()["user"]["biography"] == "Hello"
    assert person.delete(name).status_code == 200


# Login


def test_login_answers_a_token_and_nothing_more(anybody: Api, alice: Person) -> None:
    answer = anybody.login(alice.username)
    assert answer.status_code == 200
    assert set(answer.json()) == {"token"}
    assert Api(anybody.http, answer.json()["token"]).start().status_code == 200


def test_an_unknown_user_and_a_wrong_password_get_one_answer(anybody: Api, alice: Person) -> None:
    wrong = anybody.login(alice.username, "Wr0ng-word")
    unknown = anybody.login(new_name(), "Wr0ng-word")
    assert expect_error(wrong, 401) == {"credentials": ["Wrong credentials"]}
    assert wrong.json() == unknown.json()


def test_an_unknown_user_takes_as_long_as_a_wrong_password(anybody: Api, alice: Person) -> None:
    shortest = {new_name(): inf, alice.username: inf}
    ratio = 0.0
    # In turn, so that what else runs on the machine meets both; the more often, the less of that is in the shortest.
    for taken in range(40):
        for name, so_far in shortest.items():
            began = perf_counter()
            expect_error(anybody.login(name, "Wr0ng-word"), 401)
            shortest[name] = min(so_far, perf_counter() - began)
        of_unknown, of_known = shortest.values()
        ratio = of_unknown / of_known
        # One without a hash to verify would be answered ten times as fast, one with two takes twice as long.
        if taken >= 4 and 0.6 < ratio < 1.6:
            return
    pytest.fail(f"an unknown user takes {ratio:.2f} times as long")


def test_a_deleted_user_cannot_log_in(anybody: Api, alice: Person) -> None:
    alice.delete(alice.username)
    assert expect_error(anybody.login(alice.username), 401) == {"credentials": ["Wrong credentials"]}


@pytest.mark.parametrize(("name", "password"), [("ab", PASSWORD), ("1abc", PASSWORD), ("abc", "short"), ("", "")])
def test_credentials_that_cannot_be_are_invalid(anybody: Api, name: str, password: str) -> None:
    assert expect_error(anybody.login(name, password), 401) == {"credentials": ["Invalid credentials"]}


@pytest.mark.parametrize("field", ["username", "password"])
def test_login_names_a_missing_field(anybody: Api, field: str) -> None:
    user = {"username": "abc", "password": PASSWORD}
    del user[field]
    expect_error(anybody.request("POST", "/v1/users/login", json={"user": user}), 400, field)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"user": 1}', b"{}"])
def test_login_needs_a_body(anybody: Api, content: bytes) -> None:
    expect_error(anybody.request("POST", "/v1/users/login", content=content), 400)


# Profiles


def test_a_profile_shows_three_fields(alice: Person, bob: Person) -> None:
    answer = bob.profile(alice.username)
    assert answer.status_code == 200
    assert answer.json() == {
        "user": {"username": alice.username, "display_name": "Somebody", "biography": ""},
    }


def test_a_profile_is_found_in_any_case_and_under_its_alias(alice: Person) -> None:
    plain = alice.profile(alice.username).json()
    assert alice.profile(alice.username.upper()).json() == plain
    assert alice.profile(f"username/{alice.username}").json() == plain


def test_the_alias_serves_every_method(alice: Person, bob: Person) -> None:
    alias = f"username/{alice.username}"
    expect_error(bob.patch(alias), 403)
    expect_error(bob.delete(alias), 403)
    assert alice.patch(alias, biography="Hello").json() == {"username": alice.username}
    assert bob.profile(alias).json()["user"]["biography"] == "Hello"
    assert alice.delete(alias).status_code == 200
    expect_error(bob.profile(alias), 404)


@pytest.mark.parametrize("name", ["nobody-at-all", "1", "a" * 200, "%C3%A9", "%00", "%FF", "a%2Fb", "."])
def test_a_profile_of_nobody_is_not_found(alice: Person, name: str) -> None:
    expect_error(alice.profile(name), 404)


def test_an_empty_name(alice: Person) -> None:
    expect_error(alice.profile(""), 404)
    expect_error(alice.delete(""), 404)
    expect_error(alice.patch("", biography="Hello"), 400)


def test_patch_changes_what_it_names(alice: Person) -> None:
    assert alice.patch(alice.username, display_name="Alice").json() == {"username": alice.username}
    assert alice.patch(alice.username, biography="Hello").json() == {"username": alice.username}
    assert alice.profile(alice.username).json()["user"] == {
        "username": alice.username,
        "display_name": "Alice",
        "biography": "Hello",
    }


def test_an_empty_patch_changes_nothing(alice: Person) -> None:
    before = alice.profile(alice.username).json()
    answer = alice.patch(alice.username)
    assert answer.status_code == 200
    assert answer.json() == {"username": alice.username}
    assert alice.profile(alice.username).json() == before


def test_patch_renames(alice: Person, bob: Person) -> None:
    name = new_name()
    answer = alice.patch(alice.username, username=name.upper())
    assert answer.status_code == 200
    assert answer.json() == {"username": name}
    assert alice.profile(name).json()["user"]["username"] == name
    expect_error(bob.profile(alice.username), 404)
    assert bob.login(name).status_code == 200
    # The token stays good, and now speaks for the new name.
    assert alice.patch(name, biography="Hello").status_code == 200
    expect_error(alice.patch(alice.username, biography="Hello"), 403)


def test_patch_to_the_present_name(alice: Person) -> None:
    assert alice.patch(alice.username, username=alice.username).status_code == 200


@pytest.mark.parametrize(("field", "value"), [case for case in BROKEN if case[1] is not None], ids=case)
def test_patch_names_the_field_of_a_broken_rule(alice: Person, field: str, value: object) -> None:
    before = alice.profile(alice.username).json()
    assert set(expect_error(alice.patch(alice.username, **{field: value}), 400, field)) == {field}
    assert alice.profile(alice.username).json() == before


def test_a_patch_with_one_broken_field_changes_none(alice: Person) -> None:
    before = alice.profile(alice.username).json()
    errors = expect_error(alice.patch(alice.username, display_name="Alice", biography="b" * 181, username="1"), 400)
    assert set(errors) == {"biography", "username"}
    assert alice.profile(alice.username).json() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"user": []}', b'{"user": null}', b"\xff"])
def test_patch_needs_a_user(alice: Person, content: bytes) -> None:
    expect_error(alice.request("PATCH", f"/v1/users/{alice.username}", content=content), 400)


def test_patch_to_a_taken_name_is_refused(alice: Person, bob: Person) -> None:
    expect_error(alice.patch(alice.username, username=bob.username.upper()), 409, "user")


def test_others_are_left_alone(alice: Person, bob: Person) -> None:
    expect_error(alice.patch(bob.username, biography="Hello"), 403)
    expect_error(alice.delete(bob.username), 403)
    expect_error(alice.patch("nobody-at-all", biography="Hello"), 403)
    assert alice.profile(bob.username).status_code == 200


def test_delete(alice: Person, bob: Person) -> None:
    answer = alice.delete(alice.username)
    assert answer.status_code == 200
    assert answer.json() is None
    expect_error(bob.profile(alice.username), 404)


def test_a_deleted_name_stays_taken(anybody: Api, alice: Person, bob: Person) -> None:
    alice.delete(alice.username)
    expect_error(anybody.register(alice.username), 409, "user")
    expect_error(bob.patch(bob.username, username=alice.username), 409, "user")
