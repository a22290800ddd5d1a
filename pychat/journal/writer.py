"""Writes the messages that the hub has accepted, a batch a transaction, and tells the hub what became of each."""

import asyncio
import os
import time
from collections.abc import Callable

import asyncpg
import structlog

from pychat._core import Batch, Core, Journal, Repeats
from pychat.database.pool import Database, DatabaseUnavailable
from pychat.journal.claims import answer_repeats
from pychat.journal.partitions import WEEK, WEEKS_AHEAD, make_partitions, now_id
from pychat.journal.session import STATEMENT_TIMEOUT_SEC, open_session

log = structlog.get_logger("pychat.journal")

RETRY_SEC = 0.1
KNOWN_WITHIN_SEC = 5.0
"""How long senders wait to hear whether a commit without an answer went through: a database restarts in that time."""

PATIENCE_SEC = 5.0
"""For the lock, where the session was lost: the database may take a moment to notice that the old one is gone."""

BUSY_PER_SEC = 1_000
SPACING_SEC = 0.002
"""Beyond that rate batches are taken this far apart: tiny ones cost more CPU time than the wait costs a sender."""

FLUSHED_WITHIN_SEC = 3.0
LOOK_EVERY_SEC = 0.005

# Columns as texts, so that a batch costs four values and not four a message.
_CLAIM = r"""
    INSERT INTO message_claims (sender, client_id, message_id, chat)
    SELECT sender::bigint, client_id, message_id::bigint, chat::bigint FROM unnest(
        string_to_array($1, E'\n'), string_to_array($2, E'\n'), string_to_array($3, E'\n'), string_to_array($4, E'\n')
    ) AS given (sender, client_id, message_id, chat)
    ON CONFLICT DO NOTHING
"""
_CLAIMED = "SELECT message_id FROM message_claims WHERE message_id = ANY($1::bigint[])"
_COLUMNS = ["id", "chat", "sender", "text"]

_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class JournalWriter:
    """The one that writes. `open`, then `run` until it is cancelled; `flush` before that."""

    def __init__(self, core: Core, database: Database) -> None:
        self._journal = Journal(core)
        self._database = database
        self._session: asyncpg.Connection | None = None
        self._is_closing = False
        self._signal = asyncio.Event()
        self._partitioned_until = 0
        self._answering: set[asyncio.Task[None]] = set()
        # Whether the statement under way commits what it does.
        self._is_committing = False

    @property
    def is_writing(self) -> bool:
        """Whether messages are taken: there is a session."""
        return self._session is not None and not self._session.is_closed()

    async def open(self) -> None:
        """Connects, waits until no other process serves this database, and begins to take messages; unless it has.

        Raises:
            DatabaseUnavailable
        """
        if self.is_writing:
            return
        await self._open(
            lambda: log.warning("waiting for the pychat that serves this database to stop"),
            patience_sec=0,
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._journal.fileno(), self._on_signal)
        last_taken = 0.0
        try:
            while True:
                if not self.is_writing:
                    await self._reopen()
                self._signal.clear()
                taken = time.monotonic()
                batch = self._journal.take()
                if batch is None:
                    await self._signal.wait()
                    continue
                is_busy = batch.size > BUSY_PER_SEC * (taken - last_taken)
                last_taken = taken
                try:
                    await self._write(batch)
                except Exception as failure:
                    # Whatever it is, the next batch may well be in order, by another session.
                    log.error("writing messages failed", exc_info=failure)
                    self._end_session()
                finally:
                    # One that nobody has settled settles itself here.
                    del batch
                if is_busy:
                    await asyncio.sleep(max(0, taken + SPACING_SEC - time.monotonic()))
        finally:
            loop.remove_reader(self._journal.fileno())
            self._journal.close()
            self._journal.give_up()
            self._end_session()

    async def flush(self) -> None:
        """Takes no more messages, and returns when those that were taken are written and published; or after
        `FLUSHED_WITHIN_SEC`, when the database does not answer."""
        self._is_closing = True
        self._journal.close()
        deadline = time.monotonic() + FLUSHED_WITHIN_SEC
        while self._journal.pending and time.monotonic() < deadline:  # noqa: ASYNC110 # Rust counts them
            await asyncio.sleep(LOOK_EVERY_SEC)
        if left := self._journal.pending:
            log.error("the server stops with messages that are not stored; their senders are told", count=left)

    def _on_signal(self) -> None:
        os.eventfd_read(self._journal.fileno())
        self._signal.set()

    async def _write(self, batch: Batch) -> None:
        self._is_committing = False
        try:
            if batch.last_id >= self._partitioned_until:
                self._partitioned_until = await make_partitions(self._database, batch.message_ids[0], batch.last_id)
            repeats = await self._store(batch)
        except (*_TROUBLE, DatabaseUnavailable) as failure:
            if isinstance(failure, TimeoutError):
                # The statement may end in any way by now.
                self._end_session()
            # An error that leaves the session as it was has rolled the transaction back.
            is_known = not self._is_committing or self.is_writing
            log.error("messages could not be stored", count=batch.size, reason=str(failure) or type(failure).__name__)
            if is_known:
                batch.give_up()
            else:
                await self._find_out(batch)
            return
        await batch.publish()
        if repeats is not None:
            # Beside the next batches: whoever repeats old client ids makes nobody else wait.
            task = asyncio.create_task(self._answer(repeats))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _store(self, batch: Batch) -> Repeats | None:
        session = self._session
        assert session is not None
        count, claims = batch.claims()
        self._is_committing = not count
        if not count:
            await self._copy(session, batch)
            return None
        repeats = None
        transaction = session.transaction()
        await transaction.start()
        try:
            tag = await session.execute(_CLAIM, *claims, timeout=STATEMENT_TIMEOUT_SEC)
            if int(tag.rpartition(" ")[2]) < count:
                claimed = await session.fetch(_CLAIMED, batch.message_ids, timeout=STATEMENT_TIMEOUT_SEC)
                repeats = batch.take_repeats([row["message_id"] for row in claimed])
            await self._copy(session, batch)
        except BaseException:
            if not session.is_closed():
                await transaction.rollback()
            raise
        self._is_committing = True
        await transaction.commit()
        return repeats

    async def _copy(self, session: asyncpg.Connection, batch: Batch) -> None:
        # As `bytes` it would be taken for the name of a file.
        rows = memoryview(batch.rows())
        await session.copy_to_table(
            "messages",
            source=rows,  # type: ignore[arg-type] # any buffer will do, which the stub does not know
            columns=_COLUMNS,
            format="binary",
            timeout=STATEMENT_TIMEOUT_SEC,
        )

    async def _find_out(self, batch: Batch) -> None:
        """Whether a batch was committed whose answer was lost. A new session has the lock only when the old one is gone
        for good, so what it sees is final."""
        telling = asyncio.get_running_loop().call_later(KNOWN_WITHIN_SEC, self._doubt, batch)
        try:
            while True:
                await self._reopen()
                assert self._session is not None
                try:
                    is_there = await self._session.fetchval(
                        "SELECT EXISTS (SELECT FROM messages WHERE id = $1)",
                        batch.last_id,
                        timeout=STATEMENT_TIMEOUT_SEC,
                    )
                    break
                except _TROUBLE:
                    self._end_session()
        finally:
            telling.cancel()
        log.warning("a commit without an answer is looked up", count=batch.size, is_stored=is_there)
        if is_there:
            await batch.publish()
        else:
            batch.give_up()

    def _doubt(self, batch: Batch) -> None:
        log.error("it is not known whether messages are stored; their senders get 503", count=batch.size)
        batch.doubt()

    async def _answer(self, repeats: Repeats) -> None:
        try:
            await answer_repeats(self._database, repeats)
        except DatabaseUnavailable:
            # Dropped without an answer: they are to try again.
            return

    def _end_session(self) -> None:
        """With it goes the lock."""
        if self._session is not None:
            self._session.terminate()

    async def _reopen(self) -> None:
        """Takes no messages until there is a session again."""
        self._journal.close()
        self._journal.give_up()
        while not self.is_writing:
            try:
                await self._open(
                    lambda: log.error("another pychat serves this database; no messages are taken until it stops"),
                    PATIENCE_SEC,
                )
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY_SEC)

    async def _open(self, on_wait: Callable[[], None], patience_sec: float) -> None:
        session = await open_session(self._database, on_wait, patience_sec)
        try:
            now = now_id()
            self._partitioned_until = await make_partitions(self._database, now, now + WEEKS_AHEAD * WEEK)
            last_id = await session.fetchval("SELECT coalesce(max(id), 0) FROM messages", timeout=STATEMENT_TIMEOUT_SEC)
        except _TROUBLE as error:
            session.terminate()
            raise DatabaseUnavailable(str(error)) from error
        except BaseException:
            session.terminate()
            raise
        # The writer looks at once, and not only when it next has something to write.
        session.add_termination_listener(lambda _: self._signal.set())
        self._session = session
        if not self._is_closing:
            self._journal.open(last_id)
