"""Background tasks that operators can see and run: what each does, and how its last run went."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from pychat.database.pool import DatabaseUnavailable

log = structlog.get_logger("pychat.tasks")

FIRST_AFTER_SEC = 60.0
"""The first minute belongs to the clients that come back."""

Outcome = Literal["done", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run that is over."""

    began_at: datetime
    took_sec: float
    outcome: Outcome


class Task:
    """Something that is done now and then.

    Args:
        name: as `/service/tasks` knows it.
        work: does it once, without pauses.
        every_sec: between two runs by time. `None`: only operators have it run, or a loop of its own does (`turn`).
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], every_sec: float | None = None) -> None:
        self.name = name
        self.every_sec = every_sec
        self.last_run: Run | None = None
        self.last_success: Run | None = None
        self.runs: dict[Outcome, int] = {"done": 0, "failed": 0}
        self._work = work
        self._alone = asyncio.Lock()

    async def run(self) -> None:
        """Does it once; where it is under way, after that. Raises what the work raises."""
        async with self.turn():
            await self._work()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Has the block be a run of this task: after the one under way, and with its outcome noted. One that is
        cancelled, by the server's stop, is none."""
        async with self._alone:
            with self._noted():
                yield

    @contextmanager
    def _noted(self) -> Iterator[None]:
        began_at, began = datetime.now(UTC), time.monotonic()

        def note(outcome: Outcome) -> None:
            self.last_run = Run(began_at, time.monotonic() - began, outcome)
            if outcome == "done":
                self.last_success = self.last_run
            self.runs[outcome] += 1

        try:
            yield
        except Exception:
            note("failed")
            raise
        else:
            note("done")


async def run_by_time(task: Task) -> None:
    """Runs a task that has `every_sec` until cancelled, for the first time soon: a server may be restarted often."""
    assert task.every_sec is not None
    await asyncio.sleep(min(FIRST_AFTER_SEC, task.every_sec))
    while True:
        try:
            await task.run()
        except DatabaseUnavailable as failure:
            log.error(
                "a background task lacks the database; it runs again in its time", task=task.name, reason=str(failure)
            )
        except Exception as failure:
            # The next run may well go through.
            log.error("a background task failed; it runs again in its time", task=task.name, exc_info=failure)
        await asyncio.sleep(task.every_sec)
