"""A server of these tests' own, since they stop it, and a pool on a database of each test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pychat.database.pool import Database
from tests.support.postgres import Postgres, connected


@pytest.fixture(scope="module")
def own_postgres(workspace: Path, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    server = Postgres(workspace / request.module.__name__.rpartition(".")[2])
    server.start()
    yield server
    server.close()


@pytest.fixture
def dsn(own_postgres: Postgres) -> str:
    """Of an empty database."""
    return own_postgres.new_database()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with connected(dsn) as pool:
        yield pool
