"""A pool on a database of each test's own, on a server that the tests of a module may stop."""

from collections.abc import AsyncIterator

import pytest

from pychat.database.pool import Database
from tests.support.postgres import Postgres, connected


@pytest.fixture
def dsn(own_postgres: Postgres) -> str:
    """Of an empty database."""
    return own_postgres.new_database()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with connected(dsn) as pool:
        yield pool
