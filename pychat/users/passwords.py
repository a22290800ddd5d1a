"""Hashing passwords beside the event loop."""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from pychat._core import give_way
from pychat.errors import Refused

T = TypeVar("T")

MAX_PENDING = 100
"""Hashes under way and waiting, about 20 ms of a core each: who comes later would wait for some seconds."""


class Passwords:
    """Argon2id with OWASP's parameters, in threads of which one core is always spared."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._executor = ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)) - 1), "passwords", _step_back)
        self._pending = 0
        self.when_full: Callable[[bool], None] = lambda _: None
        """Told when there is no room, and when there is again."""
        self._nobodys_hash = self._hasher.hash(secrets.token_hex())

    def require_room(self) -> None:
        """For a caller who has something else to do before that would be in vain.

        Raises:
            Refused: 503, too many are waiting.
        """
        if self._is_full:
            raise Refused(503, "Too many sign-ins at once")

    async def hash(self, password: str) -> str:
        """The encoded hash, salt and parameters included.

        Raises:
            Refused: 503, too many are waiting.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, encoded: str | None) -> bool:
        """Whether `encoded` is a hash of `password`. `None`, for a user that does not exist, costs the same time.

        Raises:
            Refused: 503, too many are waiting.
        """
        return await self._run(lambda: self._matches(password, encoded or self._nobodys_hash)) and encoded is not None

    def close(self) -> None:
        """Ends the threads; what they were asked for is not finished."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, encoded: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        self.require_room()
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        was_full = self._is_full
        self._pending += change
        if self._is_full != was_full:
            self.when_full(self._is_full)

    @property
    def _is_full(self) -> bool:
        return self._pending >= MAX_PENDING


def _step_back() -> None:
    """Has messages go before the hashes of this thread, where the system lets it."""
    with suppress(OSError):
        give_way()
