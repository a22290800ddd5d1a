"""The description of the API; `tests/api/test_openapi.py` looks at what is served."""

import re
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler

from pychat.chats import routes as chats
from pychat.chats import routes_v2 as chats_v2
from pychat.docs.openapi import describe
from pychat.docs.routes import ASSETS, ONLY_OURS
from pychat.dynconf import routes as dynconf
from pychat.messages import routes as messages
from pychat.messages import routes_v2 as messages_v2
from pychat.monitor import routes as monitor
from pychat.users import routes as users
from pychat.users import routes_v2 as users_v2

PARTS = [users, users_v2, chats, chats_v2, messages, messages_v2, monitor, dynconf]
HANDLERS: list[HTTPRouteHandler] = [handler for part in PARTS for handler in part.handlers]


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return describe(HANDLERS)


def test_every_handler_is_described(description: dict[str, Any]) -> None:
    names = {operation["operationId"] for methods in description["paths"].values() for operation in methods.values()}
    assert {handler.fn.__name__ for handler in HANDLERS} <= names


def test_parameters_are_those_of_the_path(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        for operation in methods.values():
            in_path = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert in_path == re.findall(r"{(\w+)}", path)


def test_names_that_read_like_routes_are_not_described_as_routes(description: dict[str, Any]) -> None:
    assert set(description["paths"]["/v1/users/login"]) == {"post"}
    assert "/v1/users" not in description["paths"]
    assert "/v1/messages/poll" not in description["paths"]


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    policy = ONLY_OURS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert all(path.is_file() for path, _ in ASSETS.values())
