"""Writes the messages that the hub has accepted, a batch a transaction, and tells the hub what became of each."""

import asyncio
import os
import time
from collections.abc import Callable
from uuid import uuid4

import asyncpg
import structlog

from pychat._core import Batch, Core, Journal, Repeats
from pychat.database.pool import Database, DatabaseUnavailable, one_line
from pychat.journal.claims import answer_repeats
from pychat.journal.partitions import WEEK, make_partitions, now_id
from pychat.journal.session import TakenOver, expect_served_by, note_served_by, open_session
from pychat.journal.storing import TROUBLE, MaybeStored, NoPartition, NotStored, store

log = structlog.get_logger("pychat.journal")

RETRY_SEC = 0.1
KNOWN_WITHIN_SEC = 5.0
"""How long senders wait from when their batch is taken: a database restarts in that time."""

PATIENCE_SEC = 5.0
"""For the lock, where the session was lost: the database may take a moment to notice that the old one is gone."""

BUSY_PER_SEC = 1_000
SPACING_SEC = 0.002
"""Beyond that rate batches are taken this far apart: tiny ones cost more CPU time than the wait costs a sender."""

VERY_BUSY_PER_SEC = 10_000
PAUSE_SEC = 0.001
"""Up to that one the pause is no longer than this, the shortest that the loop's timers have: there the CPU time that it
costs can be spared."""

FLUSHED_WITHIN_SEC = 3.0
LOOK_EVERY_SEC = 0.005

# Of a message that is not stored, while history is off, the client id tells.
LAST_ID = "SELECT greatest((SELECT max(id) FROM messages), (SELECT max(message_id) FROM message_claims), 0)"
IS_THERE = """
    SELECT EXISTS (SELECT FROM messages WHERE id = $1) OR EXISTS (SELECT FROM message_claims WHERE message_id = $1)
"""


class JournalWriter:
    """The one that writes. `lock` and `open`, then `run` until it is cancelled; `flush` before that."""

    def __init__(self, core: Core, database: Database) -> None:
        self.taken_over = asyncio.Event()
        """Another process has served the database meanwhile: this one must not go on by what it has in memory, and has
        stopped writing for good."""
        self._journal = Journal(core)
        self._database = database
        self._process = uuid4()
        self._has_served = False
        self._session: asyncpg.Connection | None = None
        self._is_taking = False
        self._is_closing = False
        self._signal = asyncio.Event()
        self._partitioned_until = 0
        self._last_id = 0
        # The one that is being written.
        self._batch: Batch | None = None
        self._known_by = 0.0
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def is_writing(self) -> bool:
        """Whether messages are taken: there is a session, and it answers."""
        return self._is_taking and self._has_session

    async def lock(self) -> None:
        """Connects, and waits until no other process serves this database; unless it has.

        Raises:
            DatabaseUnavailable
        """
        await self._lock(lambda: log.warning("waiting for the pychat that serves this database to stop"))

    async def open(self) -> None:
        """Begins to take messages, unless it has; `lock` is in it.

        Raises:
            DatabaseUnavailable
        """
        if not self.is_writing:
            await self.lock()
            await self._begin()
            self._take_messages()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._journal.fileno(), self._on_signal)
        last_taken = 0.0
        try:
            while True:
                if not self._has_session:
                    await self._reopen()
                self._take_messages()
                self._signal.clear()
                taken = time.monotonic()
                self._batch = batch = self._journal.take()
                if batch is None:
                    await self._signal.wait()
                    continue
                per_sec = batch.size / (taken - last_taken)
                last_taken = taken
                await self._see_through(batch)
                if pause := _pause(per_sec, time.monotonic() - taken):
                    await asyncio.sleep(pause)
        except TakenOver as reason:
            log.critical(str(reason))
            self.taken_over.set()
        finally:
            loop.remove_reader(self._journal.fileno())
            self._refuse()
            self._end_session()

    async def flush(self) -> bool:
        """Takes no more messages, and returns whether those that were taken are written and published: False after
        `FLUSHED_WITHIN_SEC`, when the database does not answer; then their senders are told that."""
        self._is_closing = True
        self._journal.close()
        deadline = time.monotonic() + FLUSHED_WITHIN_SEC
        while self._journal.pending and time.monotonic() < deadline:  # noqa: ASYNC110 # Rust counts them
            await asyncio.sleep(LOOK_EVERY_SEC)
        if left := self._journal.pending:
            log.error("the server stops with messages that are not stored; their senders are told", count=left)
            self._doubt()
            for task in self._answering:
                task.cancel()
        return not left

    @property
    def _has_session(self) -> bool:
        return self._session is not None and not self._session.is_closed()

    def _on_signal(self) -> None:
        os.eventfd_read(self._journal.fileno())
        self._signal.set()

    async def _see_through(self, batch: Batch) -> None:
        """Writes a batch, and has its senders told in time whatever happens."""
        loop = asyncio.get_running_loop()
        self._known_by = loop.time() + KNOWN_WITHIN_SEC
        telling = loop.call_at(self._known_by, self._doubt)
        try:
            is_stored = await self._write(batch)
            # What remains is ours to do, and is not in doubt.
            telling.cancel()
            self._batch = None
            if is_stored:
                await batch.publish()
            else:
                batch.give_up()
        except TakenOver:
            raise
        except Exception as failure:
            # Whatever it is, the next batch may well be in order, by another session.
            log.error("writing messages failed", exc_info=failure)
            self._end_session()
        finally:
            telling.cancel()
            self._batch = None
            batch.abandon()

    async def _write(self, batch: Batch) -> bool:
        """Whether the batch is committed."""
        assert self._session is not None
        try:
            if batch.last_id >= self._partitioned_until:
                self._partitioned_until = await make_partitions(self._database.own, batch.message_ids[0], batch.last_id)
            await store(self._session, batch, self._on_repeats)
        except (NotStored, DatabaseUnavailable, asyncpg.PostgresError) as failure:
            # The last is of a partition that cannot be made.
            if isinstance(failure, NoPartition):
                # One that was there is gone: the next batch looks.
                self._partitioned_until = 0
            log.error("messages could not be stored", count=batch.size, reason=one_line(failure))
            return False
        except MaybeStored as failure:
            log.error("messages may be stored or not", count=batch.size, reason=str(failure))
            return await self._is_stored(batch)
        return True

    async def _is_stored(self, batch: Batch) -> bool:
        """Whether a batch was committed whose answer was lost. A new session has the lock only when the old one is gone
        for good, so what it sees is final."""
        while True:
            await self._reopen()
            assert self._session is not None
            try:
                is_there = bool(await self._session.fetchval(IS_THERE, batch.last_id))
            except TROUBLE:
                self._end_session()
                continue
            log.warning("a commit without an answer is looked up", count=batch.size, is_stored=is_there)
            return is_there

    def _doubt(self) -> None:
        """The database does not answer: tells those who wait for it, and has nobody else wait."""
        self._refuse()
        if self._batch is not None:
            log.error("it is not known whether messages are stored; their senders get 503", count=self._batch.size)
            self._batch.doubt()

    def _on_repeats(self, repeats: Repeats) -> None:
        """Has them answered beside this batch and the next ones: whoever repeats old client ids makes nobody else wait,
        and waits for nobody."""
        task = asyncio.create_task(self._answer(repeats))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, repeats: Repeats) -> None:
        telling = asyncio.get_running_loop().call_at(self._known_by, repeats.answer_with, [])
        try:
            await answer_repeats(self._database.own, repeats)
        except DatabaseUnavailable:
            pass
        finally:
            telling.cancel()
            # Who has no answer yet is to try again.
            repeats.answer_with([])

    def _end_session(self) -> None:
        """With it goes the lock."""
        if self._session is not None:
            self._session.terminate()

    async def _reopen(self) -> None:
        """Takes no messages, and waits until there is a session again."""
        self._refuse()
        logged = ""
        while not self._has_session:
            try:
                await self._lock(
                    lambda: log.error("another session holds the journal's lock; no messages are taken until it ends"),
                    PATIENCE_SEC,
                )
                await self._begin()
            except DatabaseUnavailable as failure:
                # Once, and not ten times a second.
                if (reason := str(failure)) != logged:
                    log.error("no messages are taken until the database can be written to", reason=reason)
                    logged = reason
                await asyncio.sleep(RETRY_SEC)

    async def _lock(self, on_wait: Callable[[], None], patience_sec: float = 0) -> None:
        if self._has_session:
            return
        served_by = self._process if self._has_served else None
        self._session = await open_session(self._database, on_wait, patience_sec, served_by)
        # The writer looks at once, and not only when it next has something to write.
        self._session.add_termination_listener(lambda _: self._signal.set())

    async def _begin(self) -> None:
        """What a new session needs before messages are taken."""
        assert self._session is not None
        try:
            if self._has_served:
                await expect_served_by(self._session, self._process)
            else:
                await note_served_by(self._session, self._process)
                self._has_served = True
            last_id = await self._session.fetchval(LAST_ID)
            # No id is below the partitions there are, though the clock be set back.
            self._last_id = max(last_id, now_id() - 1)
            # Those further ahead are the upkeep's; no session is to wait for them.
            self._partitioned_until = await make_partitions(self._database.own, self._last_id + 1, self._last_id + WEEK)
        except TROUBLE as error:
            self._end_session()
            raise DatabaseUnavailable(one_line(error)) from error
        except BaseException:
            self._end_session()
            raise

    def _take_messages(self) -> None:
        if self._has_session and not self._is_closing and not self._is_taking:
            self._is_taking = True
            self._journal.open(self._last_id)

    def _refuse(self) -> None:
        """Takes no messages, and gives up those that are in no batch yet."""
        self._is_taking = False
        self._journal.close()
        self._journal.give_up()


def _pause(per_sec: float, took_sec: float) -> float:
    """How long to let messages gather, where so many come and the batch before took so long."""
    if per_sec <= BUSY_PER_SEC:
        return 0
    left = max(0, SPACING_SEC - took_sec)
    return left if per_sec > VERY_BUSY_PER_SEC else min(left, PAUSE_SEC)
