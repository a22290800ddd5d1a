"""A config service elsewhere is followed: changes between whole copies, and what it said last while it is away."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from pychat._core import Core
from pychat.dynconf import client, service_source
from pychat.dynconf.client import ConfigClient
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import KEYS, DynamicConfig, Polling
from pychat.dynconf.service_source import Cached, ServiceSource, write_cache
from tests.support.configs import raw

FALLBACK = DynamicConfig(polling=Polling(max_size=7))


class FakeService:
    """Answers every request as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[str, bytes] | None = None
        """Status and body; without one the request hangs."""

    def says(self, updated_at: str, configs: Mapping[str, object], removed: tuple[str, ...] = ()) -> None:
        body = {"configs": configs, "updated_at": updated_at, "removed": removed}
        self.answer = ("200 OK", json.dumps(body).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        self.asked.append(json.loads(await reader.readexactly(length)))
        if self.answer is None:
            await reader.read()
        else:
            status, body = self.answer
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
        writer.close()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
async def url(service: FakeService) -> AsyncIterator[str]:
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "data" / "dynamic_config.cache.json"


@pytest.fixture
def current() -> CurrentConfig:
    return CurrentConfig(Core(signing_key=b"k" * 32), FALLBACK)


@pytest.fixture
async def source(url: str, cache: Path, current: CurrentConfig) -> AsyncIterator[ServiceSource]:
    client = ConfigClient(url)
    yield ServiceSource(client, "chat", cache, current)
    await client.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that whole copies go by."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(service_source, "time", SimpleNamespace(monotonic=lambda: clock.now, time=time.time))
    return clock


def cached(cache: Path, url: str) -> dict[str, Any]:
    content = json.loads(cache.read_text())
    assert (content["url"], content["service"]) == (url.rstrip("/"), "chat")
    return dict(content["configs"])


async def test_changes_between_whole_copies(
    service: FakeService, source: ServiceSource, current: CurrentConfig, clock: SimpleNamespace
) -> None:
    service.says("one", {"POLLING_CONFIG": {"max_size": 3}, "QUEUE_CONFIG": {"max_queue_size": 4}})
    await source.refresh()
    assert (current.value.polling.max_size, current.value.queue.max_queue_size) == (3, 4)
    assert current.source == "service"

    clock.now += service_source.EVERYTHING_EVERY_SEC - 1
    service.says("two", {"POLLING_CONFIG": {"max_size": 5}}, removed=("QUEUE_CONFIG",))
    await source.refresh()
    assert current.value == DynamicConfig(polling=Polling(max_size=5))

    clock.now += 1
    service.says("three", {})
    await source.refresh()
    assert current.value == FALLBACK
    asked = {"ids": list(KEYS), "service": "chat"}
    assert service.asked == [asked, {**asked, "updated_since": "one"}, asked]


async def test_what_was_heard_is_cached(
    url: str, service: FakeService, source: ServiceSource, cache: Path, clock: SimpleNamespace
) -> None:
    service.says("one", {"POLLING_CONFIG": {"max_size": 3}})
    await source.refresh()
    assert cached(cache, url) == {"POLLING_CONFIG": {"max_size": 3}}
    assert cache.stat().st_mode & 0o777 == 0o600
    service.says("two", {"QUEUE_CONFIG": {"max_queue_size": 4}})
    await source.refresh()
    both = {"POLLING_CONFIG": {"max_size": 3}, "QUEUE_CONFIG": {"max_queue_size": 4}}
    assert cached(cache, url) == both
    # What cannot be put in force is no good copy.
    service.says("three", {"POLLING_CONFIG": {"max_size": 0}})
    await source.refresh()
    assert cached(cache, url) == both
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


@pytest.mark.parametrize(
    "answer",
    [
        ("500 Internal Server Error", b"{}"),
        ("404 Not Found", b'{"message": "There is no such route"}'),
        ("301 Moved Permanently", b""),
        ("200 OK", b"<html>"),
        ("200 OK", b"[]"),
        ("200 OK", b'{"configs": {"POLLING_CONFIG": {"a": "\xff"}}, "updated_at": "x"}'),
        ("200 OK", b'{"configs": {}, "updated_at": "\xff"}'),
        ("500 Internal Server Error", b'{"message": "\xff"}'),
        ("200 OK", b'{"configs": {}}'),
        ("200 OK", b'{"configs": [], "updated_at": "x"}'),
        ("200 OK", b"x" * 2_000),
        ("nonsense", b""),
        None,
    ],
    ids=str,
)
async def test_an_answer_that_is_none_leaves_what_is_in_force(
    monkeypatch: pytest.MonkeyPatch,
    service: FakeService,
    source: ServiceSource,
    current: CurrentConfig,
    answer: tuple[str, bytes] | None,
) -> None:
    service.says("one", {"POLLING_CONFIG": {"max_size": 3}})
    await source.refresh()
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1_000)
    if answer is None:
        monkeypatch.setattr(client, "TIMEOUT_SEC", 0.2)
    service.answer = answer
    with capture_logs() as logs:
        for _ in range(2):
            await source.refresh()
        assert (current.value.polling.max_size, current.source) == (3, "service")
        assert [line["log_level"] for line in logs] == ["warning"]
        monkeypatch.undo()
        service.says("two", {"POLLING_CONFIG": {"max_size": 4}})
        await source.refresh()
    assert current.value.polling.max_size == 4
    assert "the config service answers again" in [line["event"] for line in logs]


@pytest.mark.parametrize(("other_url", "name"), [("http://elsewhere", "chat"), (None, "another")])
async def test_the_copy_of_another_is_not_taken(
    service: FakeService,
    source: ServiceSource,
    cache: Path,
    current: CurrentConfig,
    url: str,
    other_url: str | None,
    name: str,
) -> None:
    service.answer = ("503 Service Unavailable", b"")
    write_cache(cache, Cached(other_url or url.rstrip("/"), name, raw({"POLLING_CONFIG": {"max_size": 3}})))
    with capture_logs() as logs:
        await source.refresh()
    assert (current.value, current.source) == (FALLBACK, "fallback")
    assert logs[-1]["reason"] == f"it is what {other_url or url.rstrip('/')} said of {name}"


async def test_a_start_while_the_service_is_down(
    url: str, service: FakeService, source: ServiceSource, cache: Path, current: CurrentConfig
) -> None:
    service.answer = ("503 Service Unavailable", b"")
    write_cache(cache, Cached(url.rstrip("/"), "chat", raw({"POLLING_CONFIG": {"max_size": 3}})))
    os.utime(cache, (time.time() - 100, time.time() - 100))
    await source.refresh()
    assert (current.value.polling.max_size, current.source) == (3, "cache")
    assert current.age_sec >= 100
    service.says("one", {"POLLING_CONFIG": {"max_size": 4}})
    await source.refresh()
    assert (current.value.polling.max_size, current.source) == (4, "service")


async def test_a_first_start_while_the_service_is_down(
    service: FakeService, source: ServiceSource, current: CurrentConfig
) -> None:
    service.answer = ("503 Service Unavailable", b"")
    with capture_logs() as logs:
        await source.refresh()
    assert (current.value, current.source) == (FALLBACK, "fallback")
    assert len(logs) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"url": "\xff"}', b"[" * 100_000])
async def test_a_broken_cache_is_none(
    service: FakeService, source: ServiceSource, cache: Path, current: CurrentConfig, content: bytes
) -> None:
    service.answer = ("503 Service Unavailable", b"")
    cache.parent.mkdir()
    cache.write_bytes(content)
    with capture_logs() as logs:
        for _ in range(2):
            await source.refresh()
    assert current.source == "fallback"
    assert ["cannot be read" in line["event"] for line in logs] == [False, True]


async def test_what_cannot_be_cached_is_in_force_all_the_same(
    service: FakeService, source: ServiceSource, cache: Path, current: CurrentConfig
) -> None:
    cache.parent.write_text("not a folder")
    service.says("one", {"POLLING_CONFIG": {"max_size": 3}})
    with capture_logs() as logs:
        await source.refresh()
    assert current.value.polling.max_size == 3
    assert any("cannot be cached" in line["event"] for line in logs)


async def test_it_is_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch, service: FakeService, source: ServiceSource, current: CurrentConfig
) -> None:
    assert service_source.CHANGES_EVERY_SEC == 5
    monkeypatch.setattr(service_source, "CHANGES_EVERY_SEC", 0.01)
    task = asyncio.create_task(source.run())
    async with asyncio.timeout(30):
        while len(service.asked) < 2:
            service.answer = ("503 Service Unavailable", b"")
            await asyncio.sleep(0.01)
        service.says("one", {"POLLING_CONFIG": {"max_size": 3}})
        while current.value.polling.max_size != 3:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
