"""The way to Postgres: a pool of connections that says `DatabaseUnavailable` for every failure that is not the
query's own, and works again by itself once the server is back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import asyncpg
import structlog
from asyncpg import exceptions as pg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from asyncpg.transaction import Transaction

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

log = structlog.get_logger("pychat.database")

ACQUIRE_TIMEOUT_SEC = 2.0  # a request that waits longer for a connection is better told to come back
COMMAND_TIMEOUT_SEC = 10.0
READY_TIMEOUT_SEC = 1.0
RELEASE_TIMEOUT_SEC = 2.0
ROLLBACK_TIMEOUT_SEC = 1.0  # a stop waits for it, and closing the connection undoes the transaction just as well
ASK_EVERY_SEC = 5.0
FOR_REQUESTS = 7
OF_ASKER = 3  # and of these for one user's, so that nobody has them all, however many requests are his
FOR_ITSELF = 3  # `Database.own`: for the loader, for the journal and its upkeep, and for whether the database answers
POOL_SIZE = FOR_REQUESTS + FOR_ITSELF
OLDEST_SERVER = 14
ENCODING = "UTF8"

SETTINGS = {
    "application_name": "pychat",
    # A plan is made once a connection, for all arguments: every statement here finds its rows by the same indexes
    # whatever these are, and to plan a page of a long past anew each time takes longer than to read it.
    "plan_cache_mode": "force_generic_plan",
    # What is wanted in order, up to a limit, is to come from an index in that order: sorted, all of it is read first.
    "enable_sort": "off",
}

# What says that the server, not the query, is the trouble.
_SERVER_TROUBLE = (
    OSError,  # TimeoutError is one
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,  # shutting down, starting up, cancelled
    pg.InsufficientResourcesError,  # too many connections, disk full
    pg.TransactionRollbackError,  # a deadlock, a conflict between transactions
    pg.LockNotAvailableError,
    pg.PostgresSystemError,  # its disk fails, say
    pg.ReadOnlySQLTransactionError,  # the server became a standby
    pg.InternalClientError,
)
# What may go wrong before a query has even begun.
_CONNECT_TROUBLE = (OSError, pg.PostgresError, pg.InterfaceError, pg.InternalClientError)

asker: ContextVar[int | None] = ContextVar("asker", default=None)
"""Whose request it is that is being answered, once that is known."""


class DatabaseUnavailable(Exception):
    """The database did not answer; the same request may succeed later."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection was lost with a statement under way: it may have been committed."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at an instant; `failures` since the start."""

    size: int
    max_size: int
    in_use: int
    waiting: int
    failures: int
    is_away: bool


class Share:
    """Some of a pool's connections: who waits for one of them waits for nobody who uses the others.

    Every method raises `DatabaseUnavailable` when the server cannot be reached or does not answer in time, or all of
    the share stay in use; errors of the statement itself (a broken constraint, say) come as asyncpg's own exceptions.
    Where a statement may have been committed all the same, it is the subclass `OutcomeUnknown`.
    """

    def __init__(self, size: int, lend: Callable[[float], AbstractAsyncContextManager["Connection"]]) -> None:
        self.in_use = 0
        self.waiting = 0
        self._places = asyncio.Semaphore(size)
        # While somebody is in them.
        self._of_askers: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()
        self._lend = lend

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        """Returns the command tag, such as `UPDATE 1`."""
        async with self.connection() as connection:
            return await connection.execute(sql, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection"]:
        """A connection inside a transaction, which commits when the block ends and rolls back when it raises."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            try:
                await transaction.start()
                yield connection
            except BaseException:
                await _roll_back(connection, transaction)
                raise
            await transaction.commit()

    @asynccontextmanager
    async def connection(self, wait_sec: float | None = None) -> AsyncIterator["Connection"]:
        """One of the share's, after `wait_sec` at most for one to be free, and as long to open it; where none is given,
        after what a request waits."""
        wait_sec = ACQUIRE_TIMEOUT_SEC if wait_sec is None else wait_sec
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(wait_sec):
                    await held.enter_async_context(self._of_asker())
                    with self._counted_as_waiting():
                        await held.enter_async_context(self._places)
            except TimeoutError:
                # This is no outage: were the database silent, whoever has them would be told so.
                raise DatabaseUnavailable("all connections to the database are in use") from None
            self.in_use += 1
            try:
                async with self._lend(wait_sec) as connection:
                    yield connection
            finally:
                self.in_use -= 1

    def _of_asker(self) -> AbstractAsyncContextManager[None]:
        """A place among those of who asks, if anybody."""
        user = asker.get()
        if user is None:
            return nullcontext()
        if (places := self._of_askers.get(user)) is None:
            places = self._of_askers[user] = asyncio.Semaphore(OF_ASKER)
        return places

    @contextmanager
    def _counted_as_waiting(self) -> Iterator[None]:
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class Database(Share):
    """A pool of connections to one database; what requests ask of it goes by a share of their own, this one."""

    def __init__(self, dsn: str) -> None:
        super().__init__(FOR_REQUESTS, self._connection)
        self.own = Share(FOR_ITSELF, self._connection)
        """For what the hub and operators rely on, and is not to wait behind requests."""
        self._dsn = dsn
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._is_away = False
        self._failures = 0

    async def connect(self) -> None:
        """Opens the pool.

        Raises:
            DatabaseUnavailable: no connection, a server older than Postgres 14, or a database that cannot hold every
                text; the message is one line and free of the password.
        """
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,  # asyncpg would keep logging stacks while it cannot have its minimum
                max_size=POOL_SIZE,
                command_timeout=COMMAND_TIMEOUT_SEC,
                timeout=COMMAND_TIMEOUT_SEC,
                reset=_keep_session,
                server_settings=SETTINGS,
            )
            async with self._pool.acquire(timeout=COMMAND_TIMEOUT_SEC) as connection:
                version = connection.get_server_version().major
                encoding = connection.get_settings().server_encoding
        except ValueError:  # its text may quote parts of the password
            raise DatabaseUnavailable("database.url is not a valid postgresql:// URL") from None
        except _CONNECT_TROUBLE as error:
            raise DatabaseUnavailable(f"cannot connect to the database: {one_line(error)}") from error
        if version < OLDEST_SERVER:
            await self.close()
            raise DatabaseUnavailable(f"the database is Postgres {version}; {OLDEST_SERVER} or later is needed")
        if encoding != ENCODING:
            await self.close()
            raise DatabaseUnavailable(
                f"the database is in {encoding}, which cannot hold every text; make one in {ENCODING}: "
                f"CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
            )

    async def connect_alone(
        self, server_settings: dict[str, str], command_timeout: float | None = None
    ) -> asyncpg.Connection:
        """A connection beside the pool, for who needs a session of its own; to be closed by the caller.

        Raises:
            DatabaseUnavailable
        """
        try:
            return await asyncpg.connect(
                self._dsn,
                timeout=COMMAND_TIMEOUT_SEC,
                command_timeout=command_timeout,
                server_settings=server_settings,
            )
        except _CONNECT_TROUBLE as error:
            raise DatabaseUnavailable(self._noted(error)) from error

    async def close(self) -> None:
        """Closes the pool without waiting for statements under way."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @asynccontextmanager
    async def listening(
        self, channel: str, wake: Callable[[], None]
    ) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection beside the pool that calls `wake` at each notification of `channel`, and when it is lost."""
        try:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=COMMAND_TIMEOUT_SEC,
                command_timeout=COMMAND_TIMEOUT_SEC,
                server_settings={"application_name": "pychat"},
            )
        except _CONNECT_TROUBLE as error:
            raise DatabaseUnavailable(one_line(error)) from error
        try:
            connection.add_termination_listener(lambda _: wake())
            await connection.add_listener(channel, lambda *_: wake())
            yield connection
        except _SERVER_TROUBLE as error:
            raise DatabaseUnavailable(one_line(error)) from error
        except pg.InterfaceError as error:
            if connection.is_closed():
                raise DatabaseUnavailable(one_line(error)) from error
            raise
        finally:
            connection.terminate()

    async def ready(self) -> bool:
        """Whether the server answers a trivial query within a second."""
        try:
            async with self.own.connection(READY_TIMEOUT_SEC) as connection:
                await connection.fetchval("SELECT 1", timeout=READY_TIMEOUT_SEC)
        except DatabaseUnavailable:
            return False
        return True

    async def keep_asking(self) -> None:
        """Asks now and then until cancelled, so that `pool_state` is true also when nobody needs the database."""
        while True:
            await self.ready()
            await asyncio.sleep(ASK_EVERY_SEC)

    def pool_state(self) -> PoolState:
        """For the monitor."""
        size = self._pool.get_size() if self._pool else 0
        in_use, waiting = self.in_use + self.own.in_use, self.waiting + self.own.waiting
        return PoolState(size, POOL_SIZE, in_use, waiting, self._failures, self._is_away)

    @asynccontextmanager
    async def _connection(self, open_sec: float) -> AsyncIterator["Connection"]:
        """For who has a place in a share, so that there is one or room for one."""
        pool = self._pool
        if pool is None:
            raise DatabaseUnavailable("the connection pool is closed")
        try:
            connection = await pool.acquire(timeout=open_sec)
        except _CONNECT_TROUBLE as error:
            raise DatabaseUnavailable(self._noted(error)) from error
        try:
            yield connection
        except _SERVER_TROUBLE as error:
            raise OutcomeUnknown(self._noted(error)) from error
        except pg.InterfaceError as error:
            if _is_closed(connection):
                raise OutcomeUnknown(self._noted(error)) from error
            raise
        else:
            if self._is_away:
                self._is_away = False
                log.info("the database answers again")
        finally:
            # A connection that cannot be given back in order is dropped by asyncpg; the statement's outcome stands.
            with suppress(*_CONNECT_TROUBLE):
                await pool.release(connection, timeout=RELEASE_TIMEOUT_SEC)

    def _noted(self, error: BaseException) -> str:
        """The reason in one line, which the log gets too, once an outage: its requests would only repeat it."""
        self._failures += 1
        reason = one_line(error)
        if not self._is_away:
            self._is_away = True
            log.warning(
                "the database does not answer; requests that need it get 503 until it is back; its own log says more",
                reason=reason,
            )
        return reason


def without_secrets(url: str) -> str:
    """A URL as it may be shown: no password, no options."""
    try:
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "********"


async def _roll_back(connection: "Connection", transaction: "Transaction") -> None:
    """Or closes the connection, where the server does not answer: whoever was cancelled is waited for."""
    try:
        async with asyncio.timeout(ROLLBACK_TIMEOUT_SEC):
            await transaction.rollback()
    except BaseException as failure:
        with suppress(pg.InterfaceError):  # the pool has taken the broken connection back already
            connection.terminate()
        if not isinstance(failure, Exception):
            raise


async def _keep_session(_: object) -> None:
    """Replaces asyncpg's reset, a round trip after every statement: nothing here leaves session state behind."""


def _is_closed(connection: "Connection") -> bool:
    try:
        return connection.is_closed()
    except pg.InterfaceError:  # the pool has taken the broken connection back already
        return True


def one_line(error: BaseException) -> str:
    """What went wrong, for a log or an operator."""
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__
