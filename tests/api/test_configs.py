"""The dynamic-config service, as userver services and operators speak to it."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from uuid import uuid4

import pytest

from tests.conftest import Launch
from tests.support.configs import Configs, expect_brief_error
from tests.support.server import Server

DEFAULT = "__default__"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch() as started:
        yield started


@pytest.fixture
def configs(server: Server) -> Configs:
    return Configs(partial(server.monitor, "POST"))


@pytest.fixture
def service() -> str:
    """A service that nobody else is."""
    return f"service-{uuid4().hex[:8]}"


def test_any_name_and_any_value_of_another_service_is_kept(configs: Configs, service: str) -> None:
    given = {
        "OBJECT": {"b": 1, "a": [1.50, None, True, "Grüße", 10**30]},
        "NUMBER": 0,
        "null": None,
        "a name, with spaces": "text",
        "POLLING_CONFIG": "anything",
    }
    configs.put(given, service)
    assert configs.values(service=service)["configs"] == given
    assert configs.values(service=service, ids=list(given))["configs"] == given


def test_an_own_value_goes_before_the_default(configs: Configs, service: str) -> None:
    names = [uuid4().hex for _ in range(4)]
    both, own, default, neither = names
    configs.put({both: "own", own: "own"}, service)
    configs.put({both: "default", default: "default"}, DEFAULT)
    assert configs.values(service=service, ids=names)["configs"] == {both: "own", own: "own", default: "default"}
    assert configs.values(service=service)["configs"] == {both: "own", own: "own"}
    assert configs.values(service=service, ids=[])["configs"] == {both: "own", own: "own"}
    assert configs.values(ids=names)["configs"] == {both: "default", default: "default"}
    assert configs.values()["configs"].keys() >= {both, default}
    assert neither not in configs.values()["configs"]


def test_nothing_is_an_answer(configs: Configs, service: str) -> None:
    answer = configs.values(service=service)
    assert set(answer) == {"configs", "updated_at"}
    assert answer["configs"] == {}
    since = configs.values(service=service, updated_since=answer["updated_at"])
    assert since == {"configs": {}, "updated_at": answer["updated_at"], "removed": []}


def test_changes_since(configs: Configs, service: str) -> None:
    configs.put({"ONE": 1, "TWO": 2}, service)
    seen = configs.values(service=service)["updated_at"]
    configs.put({"TWO": 22}, service)
    changed = configs.values(service=service, updated_since=seen)
    assert (changed["configs"], changed["removed"]) == ({"TWO": 22}, [])
    configs.delete("ONE", service=service)
    removed = configs.values(service=service, updated_since=changed["updated_at"])
    assert (removed["configs"], removed["removed"]) == ({}, ["ONE"])
    configs.put({"ONE": 11}, service)
    again = configs.values(service=service, updated_since=removed["updated_at"])
    assert (again["configs"], again["removed"]) == ({"ONE": 11}, [])
    whole = configs.values(service=service, updated_since=seen)
    assert (whole["configs"], whole["removed"]) == ({"ONE": 11, "TWO": 22}, [])
    stamps = [datetime.fromisoformat(answer["updated_at"]) for answer in (changed, removed, again)]
    assert stamps == sorted(set(stamps))


def test_a_default_that_comes_to_hold_has_changed(configs: Configs, service: str) -> None:
    name = uuid4().hex
    configs.put({name: "default"}, DEFAULT)
    configs.put({name: "own"}, service)
    seen = configs.values(service=service, ids=[name])["updated_at"]
    configs.put({name: "other default"}, DEFAULT)
    hidden = configs.values(service=service, ids=[name], updated_since=seen)
    assert (hidden["configs"], hidden["removed"]) == ({}, [])
    configs.delete(name, service=service)
    shown = configs.values(service=service, ids=[name], updated_since=hidden["updated_at"])
    assert (shown["configs"], shown["removed"]) == ({name: "other default"}, [])
    configs.delete(name, service=DEFAULT)
    gone = configs.values(service=service, ids=[name], updated_since=shown["updated_at"])
    assert (gone["configs"], gone["removed"]) == ({}, [name])


@pytest.mark.parametrize("spelling", ["{}Z", "{}+00:00", "{}+0000", "{}", "{}.000001Z"])
def test_a_time_is_any_iso_8601(configs: Configs, service: str, spelling: str) -> None:
    configs.put({"ONE": 1}, service)
    for time, found in (("2020-01-01T00:00:00", {"ONE": 1}), ("2900-01-01T00:00:00", {})):
        assert configs.values(service=service, updated_since=spelling.format(time))["configs"] == found


def test_deleting_what_is_not_there_is_no_error(configs: Configs, service: str) -> None:
    configs.delete("NOTHING", service=service)
    assert configs.values(service=service, updated_since="2020-01-01T00:00:00Z")["removed"] == []


def test_null_is_as_good_as_nothing(configs: Configs) -> None:
    assert configs.values(ids=None, updated_since=None, service=None) == configs.values()


def test_unknown_fields_of_a_body_are_ignored(configs: Configs, service: str) -> None:
    answer = configs.post("/admin/v1/configs", json={"configs": {"A": 1}, "service": service, "more": [1]})
    assert answer.status_code == 204
    assert configs.values(service=service, more={})["configs"] == {"A": 1}


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Host": "config-service:8083"}], ids=str)
def test_who_only_reads_may_come_by_any_name_and_type(configs: Configs, headers: dict[str, str]) -> None:
    # userver's client names no type, and finds the service by the name that the network has for it.
    assert configs.post("/configs/values", content=b"{}", headers=headers).status_code == 200


# What is refused

REQUIRED = {
    "/admin/v1/configs": "Fields 'configs' and 'service' are required",
    "/admin/v1/configs/delete": "Fields 'ids' and 'service' are required",
}


@pytest.mark.parametrize("body", [{}, {"service": ""}, {"configs": {}, "ids": []}, {"configs": None, "ids": None}])
@pytest.mark.parametrize("path", REQUIRED)
def test_what_is_required(configs: Configs, path: str, body: dict[str, object]) -> None:
    complete = {"configs": {"A": 1}, "ids": ["A"], "service": "other"}
    for missing in (body, {**complete, **body} if body else {"service": "other"}):
        assert expect_brief_error(configs.post(path, json=missing), 400) == REQUIRED[path]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"\xff": 1}', b"[" * 10_000])
@pytest.mark.parametrize("path", ["/configs/values", *REQUIRED])
def test_a_body_that_is_no_object(configs: Configs, path: str, content: bytes) -> None:
    expect_brief_error(configs.post(path, content=content, headers=JSON), 400)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/configs/values", {"ids": "A"}, "ids: expected `array | null`, got `str`"),
        ("/configs/values", {"ids": [1]}, "ids[0]: expected `str`, got `int`"),
        ("/configs/values", {"service": 1}, "service: expected `str | null`, got `int`"),
        ("/configs/values", {"updated_since": "yesterday"}, "Field 'updated_since' is not an ISO 8601 time"),
        ("/configs/values", {"updated_since": 0}, "updated_since: expected `str | null`, got `int`"),
        ("/admin/v1/configs", {"configs": [], "service": "x"}, "configs: expected `object | null`, got `array`"),
        ("/admin/v1/configs/delete", {"ids": {}, "service": "x"}, "ids: expected `array | null`, got `object`"),
    ],
)
def test_a_field_of_another_type_is_named(configs: Configs, path: str, body: object, message: str) -> None:
    assert expect_brief_error(configs.post(path, json=body), 400) == message


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0b"])
def test_names_have_bounds(configs: Configs, service: str, name: str) -> None:
    for path, body in (
        ("/configs/values", {"ids": [name]}),
        ("/admin/v1/configs", {"configs": {name: 1}, "service": service}),
        ("/admin/v1/configs/delete", {"ids": [name], "service": service}),
    ):
        assert "characters" in expect_brief_error(configs.post(path, json=body), 400)
    assert configs.values(service=service)["configs"] == {}


@pytest.mark.parametrize("value", ['"\\u0000"', "1e999999"])
def test_what_the_database_cannot_hold_is_refused_by_name(configs: Configs, service: str, value: str) -> None:
    content = f'{{"service": "{service}", "configs": {{"GOOD": 1, "BAD": {value}}}}}'.encode()
    message = expect_brief_error(configs.post("/admin/v1/configs", content=content, headers=JSON), 400)
    assert message.startswith("BAD: the database has no room")
    assert configs.values(service=service)["configs"] == {}


@pytest.mark.parametrize("part", [b'{"A": "\xff"}', b'{"\xff": 1}', b'{"\\ud800": 1}'])
def test_what_is_not_utf_8_is_refused(configs: Configs, service: str, part: bytes) -> None:
    content = b'{"service": "%b", "configs": %b}' % (service.encode(), part)
    answer = configs.post("/admin/v1/configs", content=content, headers=JSON)
    assert expect_brief_error(answer, 400) == "The request body is not valid JSON"
    for path in ("/configs/values", "/admin/v1/configs/delete"):
        content = b'{"service": "%b", "ids": ["\xff"]}' % service.encode()
        expect_brief_error(configs.post(path, content=content, headers=JSON), 400)


def test_a_value_that_is_nested_too_deep(configs: Configs) -> None:
    content = b'{"service": "x", "configs": {"A": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}"
    answer = configs.post("/admin/v1/configs", content=content, headers=JSON)
    assert expect_brief_error(answer, 400) == "The request body is nested too deep"


def test_a_body_that_is_too_long(configs: Configs, service: str) -> None:
    long = {"configs": {"A": "x" * 500_000}, "service": service}
    expect_brief_error(configs.post("/admin/v1/configs", json=long), 413)
    configs.put({"A": "x" * 400_000}, service)


@pytest.mark.parametrize("name", ["pychat", DEFAULT])
def test_our_own_keys_are_judged(configs: Configs, name: str) -> None:
    bad = {
        "POLLING_CONFIG": {"max_size": 0},
        "SEND_LIMTIER_CONFIG": {"is_enabled": 1},
        "QUEUE_CONFIG": [],
        "REGISTRY_CONFIG": {"max_users_amount": 3},
        "OF_NOBODY": {},
    }
    answer = configs.post("/admin/v1/configs", json={"configs": bad, "service": name})
    assert expect_brief_error(answer, 400).split("; ") == [
        "POLLING_CONFIG.max_size: expected `int` >= 1",
        "QUEUE_CONFIG: expected `object`, got `array`",
        "SEND_LIMTIER_CONFIG.is_enabled: expected `bool`, got `int`",
    ]
    assert not configs.values(service=name)["configs"].keys() & bad.keys()


def test_a_web_page_cannot_change_anything(configs: Configs, service: str) -> None:
    content = f'{{"configs": {{"A": 1}}, "ids": ["A"], "service": "{service}"}}'.encode()
    for path in REQUIRED:
        for headers, status in (
            ({"Content-Type": "text/plain"}, 415),
            ({}, 415),
            ({**JSON, "Host": "elsewhere"}, 403),
        ):
            expect_brief_error(configs.post(path, content=content, headers=headers), status)
    assert configs.values(service=service)["configs"] == {}


def test_other_routes_and_methods_answer_briefly_too(server: Server) -> None:
    expect_brief_error(server.monitor("GET", "/configs/values"), 405)
    expect_brief_error(server.monitor("POST", "/configs/nothing", json={}), 404)
    expect_brief_error(server.monitor("GET", "/admin/v1"), 404)
    for path in ("/configs", "/admin"):
        expect_brief_error(server.monitor("GET", path), 404)
