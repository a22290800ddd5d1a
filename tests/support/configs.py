"""Dynamic config: as the server reads it, and through the service."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from msgspec import Raw

OWN_SERVICE: Final = "pychat"


def raw(values: Mapping[str, object]) -> dict[str, Raw]:
    """`values` as JSON, each by itself."""
    return {name: Raw(json.dumps(value).encode()) for name, value in values.items()}


class Configs:
    """The dynamic-config service, by way of `post(path, json=..., headers=...)`."""

    def __init__(self, post: Callable[..., httpx.Response], token: str | None = None) -> None:
        self.post = post
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def values(self, **body: object) -> dict[str, Any]:
        answer = self.post("/configs/values", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def put(self, configs: Mapping[str, object], service: str = OWN_SERVICE) -> None:
        body = {"configs": configs, "service": service}
        answer = self.post("/admin/v1/configs", json=body, headers=self._headers)
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    def delete(self, *names: str, service: str = OWN_SERVICE) -> None:
        answer = self.post("/admin/v1/configs/delete", json={"ids": names, "service": service}, headers=self._headers)
        assert (answer.status_code, answer.content) == (204, b""), answer.text


def expect_brief_error(answer: httpx.Response, status: int) -> str:
    """Asserts an error as `/configs` and `/admin` answer it, and returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == str(status)
    return str(body["message"])
