"""Follows the configs of a config service elsewhere: its changes every few seconds, everything every minute. The last
good copy is kept in a file, for a start while that service is down."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import msgspec
import structlog
from msgspec import Raw, Struct

from pychat.dynconf.client import ConfigClient, ConfigServiceError
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import KEYS

log = structlog.get_logger("pychat.dynconf")

CHANGES_EVERY_SEC = 5.0
EVERYTHING_EVERY_SEC = 60.0

CACHE = "dynamic_config.cache.json"
"""In the data folder."""


class Cached(Struct):
    """What the config service at `url` said last of `service`; another's is of no use."""

    url: str
    service: str
    configs: dict[str, Raw]


class ServiceSource:
    """Puts in force what the config service of `client` says of `service`."""

    def __init__(self, client: ConfigClient, service: str, cache: Path, current: CurrentConfig) -> None:
        self._client = client
        self._service = service
        self._cache = cache
        self._current = current
        self._values: dict[str, Raw] = {}
        self._updated_at: str | None = None
        self._everything_at = 0.0
        self._is_away = False
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Puts in force what the service says now. While it is away, what is in force stays; the cached copy where that
        is the fallback."""
        async with self._asking:
            try:
                await self._ask()
            except ConfigServiceError as error:
                if not self._is_away:
                    self._is_away = True
                    log.warning("the config service is away; the last good dynamic config stays", reason=str(error))
                    if self._current.source == "fallback":
                        await self._take_cached()
            else:
                if self._is_away:
                    self._is_away = False
                    log.info("the config service answers again")

    async def run(self) -> None:
        """Follows until cancelled."""
        try:
            while True:
                await asyncio.sleep(CHANGES_EVERY_SEC)
                try:
                    await self.refresh()
                except Exception as failure:
                    log.error("following the dynamic config failed", exc_info=failure)
        finally:
            await self._client.close()

    async def _ask(self) -> None:
        is_whole = self._updated_at is None or time.monotonic() >= self._everything_at + EVERYTHING_EVERY_SEC
        answer = await self._client.values(self._service, list(KEYS), None if is_whole else self._updated_at)
        values = {} if is_whole else {name: self._values[name] for name in self._values.keys() - answer.removed}
        self._values = values | answer.configs
        self._updated_at = answer.updated_at
        self._current.take(self._values, "service")
        if is_whole:
            self._everything_at = time.monotonic()
        if (is_whole or answer.configs or answer.removed) and not self._current.refused:
            try:
                heard = Cached(self._client.shown, self._service, self._values)
                await asyncio.to_thread(write_cache, self._cache, heard)
            except OSError as error:
                log.warning("the dynamic config cannot be cached", file=str(self._cache), reason=error.strerror)

    async def _take_cached(self) -> None:
        try:
            values, age_sec = await asyncio.to_thread(read_cache, self._cache, self._client.shown, self._service)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            log.warning("the cached dynamic config cannot be read", file=str(self._cache), reason=str(error))
            return
        self._current.take(values, "cache", age_sec)


def read_cache(file: Path, url: str, service: str) -> tuple[dict[str, Raw], float]:
    """What the config service at `url` said last of `service`, and how many seconds ago.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError, RecursionError: it holds something else.
    """
    cached = msgspec.json.decode(file.read_text(encoding="utf-8"), type=Cached)
    if (cached.url, cached.service) != (url, service):
        raise ValueError(f"it is what {cached.url} said of {cached.service}")
    return cached.configs, max(0.0, time.time() - file.stat().st_mtime)


def write_cache(file: Path, heard: Cached) -> None:
    """Replaces the file whole, so that a start never reads half of one; it is for its owner alone."""
    # As the signing key's folder: others may pass through, not look.
    file.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with open(draft, "wb", opener=partial(os.open, mode=0o600)) as content:
        content.write(msgspec.json.format(msgspec.json.encode(heard), indent=4))
    draft.replace(file)
