"""Speaks to a dynamic-config service: pychat's own, or any other with the same protocol."""

import asyncio
from collections.abc import Mapping, Sequence

import httpx
import msgspec
from msgspec import Raw, Struct

from pychat.database.pool import without_secrets
from pychat.dynconf.protocol import InForce

TIMEOUT_SEC = 3.0
"""For a whole exchange: who waits longer is better served by what he has."""

MAX_ANSWER_BYTES = 10_000_000
"""No service's configs come near; a wrong address may answer without end."""


class ConfigServiceError(Exception):
    """The service did not answer as it should; the message is one line."""


class Values(Struct):
    """`updated_at` is kept as the service wrote it, to be given back to it."""

    configs: dict[str, Raw]
    updated_at: str
    removed: list[str] = []


class _Refusal(Struct):
    message: str


class ConfigClient:
    """The config service at `url`. Every method raises `ConfigServiceError`."""

    def __init__(self, url: str, admin_token: str = "") -> None:
        self._url = url.rstrip("/")
        self.shown = without_secrets(self._url)
        """The address without its secrets."""
        self._admin = {"authorization": f"Bearer {admin_token}"} if admin_token else {}
        # The address is the operator's: no proxy of the environment is meant to see it.
        self._http = httpx.AsyncClient(trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def values(self, service: str, names: Sequence[str] = (), updated_since: str | None = None) -> Values:
        """The configs `names` as they hold for `service`; without names, those of its own."""
        asked: dict[str, object] = {"ids": names, "service": service}
        if updated_since is not None:
            asked["updated_since"] = updated_since
        answer = await self._ask("POST", "/configs/values", asked)
        try:
            # As text: what is kept raw is not looked at otherwise.
            return msgspec.json.decode(answer.decode(), type=Values)
        except (ValueError, RecursionError) as error:
            raise ConfigServiceError(f"{self.shown} answers what is no config: {error}") from None

    async def put(self, service: str, values: Mapping[str, Raw]) -> None:
        await self._ask("POST", "/admin/v1/configs", {"configs": values, "service": service}, self._admin)

    async def delete(self, service: str, names: Sequence[str]) -> None:
        await self._ask("POST", "/admin/v1/configs/delete", {"ids": names, "service": service}, self._admin)

    async def in_force(self) -> InForce:
        """What the server goes by whose operators' listener is at `url`."""
        answer = await self._ask("GET", "/service/config")
        try:
            return msgspec.json.decode(answer, type=InForce)
        except (ValueError, RecursionError) as error:
            raise ConfigServiceError(f"{self.shown} answers what is no config: {error}") from None

    async def _ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        headers = {"content-type": "application/json", **(headers or {})}
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(TIMEOUT_SEC),
                self._http.stream(method, self._url + path, content=content, headers=headers) as response,
            ):
                answer = b""
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise ConfigServiceError(f"{self.shown} answers more than {MAX_ANSWER_BYTES:,} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ConfigServiceError(f"{self.shown} does not answer: {str(error) or type(error).__name__}") from None
        if not response.is_success:
            raise ConfigServiceError(f"{self.shown} answers {response.status_code}: {_reason(response, answer)}")
        return answer


def _reason(response: httpx.Response, answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Refusal).message
    except (ValueError, RecursionError):
        return response.reason_phrase
