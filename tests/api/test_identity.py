"""Identity: which requests need a token, and which tokens are good."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest

from tests.support.client import Api, Person
from tests.support.expect import expect_error
from tests.support.server import SIGNING_KEY
from tests.support.tokens import claims_of, expired, forged, signed

PROTECTED: dict[str, Callable[[Api], httpx.Response]] = {
    "GET profile": lambda api: api.profile("somebody"),
    "GET profile by its alias": lambda api: api.profile("username/somebody"),
    "PATCH profile": lambda api: api.patch("somebody"),
    "DELETE profile": lambda api: api.delete("somebody"),
    "private chat": lambda api: api.private_chat("somebody"),
    "poll start": lambda api: api.start(),
    "poll": lambda api: api.poll("0b0b6b5e-8f5c-4f0e-9d0c-6d2a8c1f4e3a"),
    "send": lambda api: api.send("pc:none", "text"),
    "send, older dialect": lambda api: api.send_to("somebody", "text"),
}

NOT_A_BEARER = [
    "",
    "Bearer",
    "Basic {}",
    "Token {}",
    "{}",
    "Bearer {} {}",
    "Bearer,{}",
    "Bearer x",
    "Bearer a.b.c",
]

BAD_TOKENS: dict[str, Callable[[str], str]] = {
    "signed with another key": lambda token: signed(
        claims_of(token), key="another key, as long as it has to be: 0123456789"
    ),
    "of another issuer": lambda token: forged(token, iss="somebody-else"),
    "expired": expired,
    "without an issuer": lambda token: forged(token, iss=None),
    "without a user": lambda token: forged(token, id=None),
    "without an end": lambda token: forged(token, exp=None),
    "of a user that does not exist": lambda token: forged(token, id=10**12),
    "with a user id that is a string": lambda token: forged(token, id=str(claims_of(token)["id"])),
    "with a huge user id": lambda token: forged(token, id=10**30),
    "of another algorithm": lambda token: signed(claims_of(token), algorithm="HS512"),
    "without a signature": lambda token: jwt.encode(claims_of(token), None, algorithm="none"),
    "with its signature cut off": lambda token: token.rsplit(".", 1)[0] + ".",
    "with one bit of its signature changed": lambda token: token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:],
    "with claims under another token's signature": lambda token: ".".join(
        [*forged(token, id=1).split(".")[:2], token.split(".")[2]]
    ),
    "with more after it": lambda token: token + ".x",
}


@pytest.mark.parametrize("route", PROTECTED.values(), ids=PROTECTED)
def test_a_route_needs_a_token(anybody: Api, route: Callable[[Api], httpx.Response]) -> None:
    expect_error(route(anybody), 401)


@pytest.mark.parametrize("authorization", NOT_A_BEARER)
def test_a_header_that_is_no_bearer_token_is_refused(anybody: Api, alice: Person, authorization: str) -> None:
    headers = {"Authorization": authorization.format(alice.token, alice.token)}
    expect_error(anybody.request("GET", f"/v1/users/{alice.username}", headers=headers), 401)
    expect_error(anybody.request("POST", "/v1/messages/poll/start", headers=headers), 401)


@pytest.mark.parametrize("spoil", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_is_refused_on_every_route(alice: Person, spoil: Callable[[str], str]) -> None:
    assert alice.token is not None
    stranger = Api(alice.http, spoil(alice.token))
    for route in PROTECTED.values():
        expect_error(route(stranger), 401)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_case(anybody: Api, alice: Person, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {alice.token}"}
    assert anybody.request("GET", f"/v1/users/{alice.username}", headers=headers).status_code == 200
    assert anybody.request("POST", "/v1/messages/poll/start", headers=headers).status_code == 200


def test_a_token_has_the_claims_of_the_contract(alice: Person) -> None:
    assert alice.token is not None
    claims = jwt.decode(alice.token, SIGNING_KEY, algorithms=["HS256"], issuer="realtime-chat")
    assert {"iss", "id", "jti", "iat", "exp"} <= set(claims)
    assert claims["exp"] - claims["iat"] == 3600


def test_two_tokens_of_one_user_differ(alice: Person) -> None:
    first, second = (alice.login(alice.username).json()["token"] for _ in range(2))
    assert claims_of(first)["jti"] != claims_of(second)["jti"]


def test_a_token_is_judged_before_the_body(anybody: Api) -> None:
    for method, path in [
        ("PATCH", "/v1/users/somebody"),
        ("POST", "/v1/chats/private"),
        ("POST", "/v1/messages/send"),
    ]:
        expect_error(anybody.request(method, path, content=b"not JSON"), 401)
        expect_error(anybody.request(method, path, content=b"x" * 20_000), 401)


def test_a_deleted_user_is_told_so(alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    session = alice.session()
    assert alice.delete(alice.username).status_code == 200
    answers = [route(alice) for route in PROTECTED.values()]
    for answer in [*answers, alice.send(chat_id, "text"), alice.poll(session.session_id)]:
        expect_error(answer, 401)
        assert answer.json()["message"] == "Invalid user auth"


def test_a_deleted_user_is_judged_deleted_whatever_token_it_shows(alice: Person) -> None:
    later = alice.login(alice.username).json()["token"]
    alice.delete(alice.username)
    expect_error(Api(alice.http, later).profile(alice.username), 401)


def test_a_changed_password_revokes_earlier_tokens(alice: Person) -> None:
    another = Api(alice.http, alice.login(alice.username).json()["token"])
    assert alice.patch(alice.username, password="N3w-Passw0rd").status_code == 200
    for route in PROTECTED.values():
        expect_error(route(another), 401)
        expect_error(route(alice), 401)

    expect_error(alice.login(alice.username), 401)
    answer = alice.login(alice.username, "N3w-Passw0rd")
    assert answer.status_code == 200
    assert Api(alice.http, answer.json()["token"]).profile(alice.username).status_code == 200


@pytest.mark.parametrize("other", [{"password": "0ther-Passw0rd"}, {}], ids=["another password", "deletion"])
def test_of_two_changes_by_one_token_at_once_the_first_revokes_it_for_the_other(
    alice: Person, other: dict[str, str]
) -> None:
    def change(fields: dict[str, str]) -> httpx.Response:
        return alice.patch(alice.username, **fields) if fields else alice.delete(alice.username)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(change, [{"password": "N3w-Passw0rd"}, other]))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


def test_a_changed_profile_leaves_tokens_alone(alice: Person) -> None:
    assert alice.patch(alice.username, display_name="Alice", biography="Hello").status_code == 200
    assert alice.profile(alice.username).status_code == 200
