"""A core, a database and the writer between them, in the test's own process."""

from collections.abc import AsyncIterator

import pytest

from pychat._core import Core
from pychat.database.migrate import migrate
from pychat.database.pool import Database
from tests.support.journal import new_core
from tests.support.postgres import Postgres, connected


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with connected(url) as opened:
        await migrate(opened)
        yield opened


@pytest.fixture
def core() -> Core:
    return new_core()
