"""What the database holds is in force: at once where a change is announced, within a minute where it was not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from pychat._core import Core
from pychat.database.pool import Database
from pychat.dynconf import database_source, store
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.database_source import DatabaseSource
from pychat.dynconf.schemas import DynamicConfig
from tests.support.configs import raw

COUNTING = """
    CREATE SEQUENCE changes;
    CREATE FUNCTION count_changes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM nextval('changes'); RETURN NULL; END $$;
    CREATE TRIGGER counted AFTER INSERT ON configs FOR EACH STATEMENT EXECUTE FUNCTION count_changes();
"""
SILENTLY = "ALTER TABLE configs DISABLE TRIGGER configs_changed"


@pytest.fixture
def current() -> CurrentConfig:
    return CurrentConfig(Core(signing_key=b"k" * 32), DynamicConfig())


@pytest.fixture
def source(database: Database, current: CurrentConfig) -> DatabaseSource:
    return DatabaseSource(database, "pychat", current)


@pytest.fixture
async def following(source: DatabaseSource) -> AsyncIterator[None]:
    task = asyncio.create_task(source.run())
    yield
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def put_max_size(database: Database, number: int, service: str = "pychat") -> None:
    await store.put(database, service, raw({"POLLING_CONFIG": {"max_size": number}}))


async def test_a_refresh_puts_in_force_what_is_committed(
    database: Database, source: DatabaseSource, current: CurrentConfig
) -> None:
    await put_max_size(database, 3)
    assert current.value.polling.max_size == 100
    await source.refresh()
    assert (current.value.polling.max_size, current.source) == (3, "database")
    await store.remove(database, "pychat", ["POLLING_CONFIG"])
    await source.refresh()
    assert current.value == DynamicConfig()


async def test_the_own_service_goes_before_the_default(
    database: Database, source: DatabaseSource, current: CurrentConfig
) -> None:
    await put_max_size(database, 3, "__default__")
    await put_max_size(database, 4, "other")
    await source.refresh()
    assert current.value.polling.max_size == 3
    await put_max_size(database, 5)
    await source.refresh()
    assert current.value.polling.max_size == 5


@pytest.mark.usefixtures("following")
async def test_a_change_by_hand_is_followed(database: Database, current: CurrentConfig) -> None:
    await until(lambda: current.source == "database")
    await database.execute(
        "INSERT INTO configs (service, config_name, config_value) VALUES ($1, $2, $3)",
        "pychat",
        "POLLING_CONFIG",
        '{"max_size": 3}',
    )
    await until(lambda: current.value.polling.max_size == 3)
    await database.execute("UPDATE configs SET config_value = $1", '{"max_size": 4}')
    await until(lambda: current.value.polling.max_size == 4)
    await database.execute("TRUNCATE configs")
    await until(lambda: current.value.polling.max_size == 100)


@pytest.mark.usefixtures("following")
async def test_a_lost_connection_is_made_again(database: Database, current: CurrentConfig) -> None:
    await until(lambda: current.source == "database")
    ended = await database.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert ended == 1
    await put_max_size(database, 3)
    await until(lambda: current.value.polling.max_size == 3)
    await put_max_size(database, 4)
    await until(lambda: current.value.polling.max_size == 4)


async def test_a_lost_notice_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch, database: Database, source: DatabaseSource, current: CurrentConfig
) -> None:
    assert database_source.LOOK_EVERY_SEC == 60
    monkeypatch.setattr(database_source, "LOOK_EVERY_SEC", 0.2)
    await database.execute(SILENTLY)
    task = asyncio.create_task(source.run())
    await until(lambda: current.source == "database")
    await put_max_size(database, 3)
    await until(lambda: current.value.polling.max_size == 3)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.usefixtures("following")
async def test_an_invalid_value_that_somebody_smuggled_in(database: Database, current: CurrentConfig) -> None:
    await put_max_size(database, 3)
    await until(lambda: current.value.polling.max_size == 3)
    with capture_logs() as logs:
        await store.put(database, "pychat", raw({"POLLING_CONFIG": {"max_size": -1}, "QUEUE_CONFIG": {}}))
        await until(lambda: current.invalid_total == 1)
        await store.put(database, "pychat", raw({"QUEUE_CONFIG": {"max_queue_size": 9}}))
        await until(lambda: current.value.queue.max_queue_size == 9)
    assert current.value.polling.max_size == 3
    assert [line["why"] for line in logs if line["log_level"] == "warning"] == [
        "POLLING_CONFIG.max_size: expected `int` >= 1"
    ]


async def test_a_read_that_fails_does_not_end_the_following(
    monkeypatch: pytest.MonkeyPatch, database: Database, source: DatabaseSource, current: CurrentConfig
) -> None:
    monkeypatch.setattr(database_source, "RETRY_SEC", 0.01)
    await database.execute("ALTER TABLE configs RENAME TO elsewhere")
    with capture_logs() as logs:
        task = asyncio.create_task(source.run())
        await until(lambda: any(line["log_level"] == "error" for line in logs))
    await database.execute("ALTER TABLE elsewhere RENAME TO configs")
    await until(lambda: current.source == "database")
    task.cancel()
    await asyncio.wait([task])


async def test_while_the_database_is_away_what_is_in_force_stays(
    database: Database, source: DatabaseSource, current: CurrentConfig
) -> None:
    await put_max_size(database, 3)
    await source.refresh()
    await database.close()
    await source.refresh()
    assert (current.value.polling.max_size, current.source) == (3, "database")


async def test_changes_at_once_have_stamps_in_the_order_of_their_commits(database: Database) -> None:
    seen: dict[str, int] = {}
    since = None
    done = asyncio.Event()

    async def write(name: str) -> None:
        for number in range(20):
            await store.put(database, "other", raw({name: number}))

    async def follow() -> None:
        nonlocal since
        while True:
            was_done = done.is_set()
            found = await store.read(database, "other", None, since)
            since = found.updated_at
            seen.update({name: int(bytes(value)) for name, value in found.values.items()})
            if was_done:
                return

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(write(f"name{number}") for number in range(8)))
    done.set()
    await follower
    assert seen == {f"name{number}": 19 for number in range(8)}


async def test_many_configs_are_one_statement(database: Database) -> None:
    # While it is under way no other change of any service can be made.
    await database.execute(COUNTING)
    await store.put(database, "other", raw({f"CONFIG_{number}": number for number in range(1_000)}))
    assert await database.fetchval("SELECT last_value FROM changes") == 1
    assert len((await store.read(database, "other")).values) == 1_000


async def test_what_was_removed_long_ago_is_forgotten(database: Database) -> None:
    await store.put(database, "other", raw({"OLD": 1, "YOUNG": 1, "NEW": 1}))
    await store.remove(database, "other", ["OLD", "YOUNG"])
    for name, days in (("OLD", 31), ("YOUNG", 29)):
        earlier = (
            "UPDATE configs_removed SET removed_at = removed_at - make_interval(days => $2) WHERE config_name = $1"
        )
        await database.execute(earlier, name, days)
    await store.remove(database, "another", ["NEW"])
    told = await store.read(database, "other", since=datetime(2000, 1, 1, tzinfo=UTC))
    assert (told.removed, set(told.values)) == (["YOUNG"], {"NEW"})
