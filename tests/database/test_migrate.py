"""Migrations, and what the schema itself promises."""

import asyncio

import asyncpg
import pytest

from pychat.database.migrate import Migration, MigrationError, migrate, packaged_migrations
from pychat.database.pool import Database

ONE = Migration(1, "0001_one", "CREATE TABLE one (n int)")
TWO = Migration(2, "0002_two", "CREATE TABLE two (n int); INSERT INTO one VALUES (2)")


async def new_user(database: Database, username: str) -> int:
    user_id: int = await database.fetchval(
        "INSERT INTO users (username, display_name, password_hash) VALUES ($1, $1, '') RETURNING id", username
    )
    return user_id


async def test_the_packaged_files_are_applied_once(database: Database) -> None:
    names = [migration.name for migration in packaged_migrations()]
    assert names[0] == "0001_users_chats"
    assert await migrate(database) == names
    assert await migrate(database) == []


async def test_only_what_is_missing_is_applied(database: Database) -> None:
    assert await migrate(database, [ONE]) == ["0001_one"]
    assert await migrate(database, [ONE, TWO]) == ["0002_two"]
    assert await database.fetchval("SELECT count(*) FROM one") == 1


async def test_processes_that_start_together_apply_each_file_once(dsn: str) -> None:
    pools = [Database(dsn) for _ in range(4)]
    for pool in pools:
        await pool.connect()
    applied = await asyncio.gather(*(migrate(pool, [ONE, TWO]) for pool in pools))
    assert sorted(name for names in applied for name in names) == ["0001_one", "0002_two"]
    for pool in pools:
        await pool.close()


async def test_a_failing_file_leaves_nothing_of_itself(database: Database) -> None:
    broken = Migration(2, "0002_broken", "CREATE TABLE two (n int); SELECT 1 / 0")
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(database, [ONE, broken])
    assert await database.fetchval("SELECT to_regclass('two')") is None
    assert await migrate(database, [ONE, TWO]) == ["0002_two"]


async def test_a_changed_file_is_refused(database: Database) -> None:
    await migrate(database, [ONE])
    with pytest.raises(MigrationError, match="0001_one has changed since it was applied"):
        await migrate(database, [ONE._replace(sql="CREATE TABLE one (n bigint)"), TWO])


async def test_a_database_ahead_of_the_code_is_refused(database: Database) -> None:
    await migrate(database, [ONE, TWO])
    with pytest.raises(MigrationError, match="0002_two, which this version of pychat does not know"):
        await migrate(database, [ONE])


async def test_a_deleted_name_stays_taken(database: Database) -> None:
    await migrate(database)
    await new_user(database, "alice")
    await database.execute("UPDATE users SET deleted_at = now()")
    with pytest.raises(asyncpg.UniqueViolationError):
        await new_user(database, "alice")


async def test_two_people_share_one_private_chat(database: Database) -> None:
    await migrate(database)
    alice, bob = await new_user(database, "alice"), await new_user(database, "bob")
    insert = "INSERT INTO chats (id, kind, pair_low, pair_high) VALUES ($1, $2, $3, $4)"
    await database.execute(insert, "pc:1", "private", alice, bob)
    await database.execute(insert, "pc:2", "private", alice, alice)
    await database.execute(insert, "gc:1", "group", None, None)
    await database.execute(insert, "gc:2", "group", None, None)
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute(insert, "pc:3", "private", alice, bob)
    for kind, low, high in [("private", bob, alice), ("private", None, None), ("private", alice, None)]:
        with pytest.raises(asyncpg.CheckViolationError):
            await database.execute(insert, "pc:4", kind, low, high)
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(insert, "gc:4", "group", alice, bob)


async def test_chats_from_before_there_was_a_history_get_numbers(database: Database) -> None:
    first, *others = packaged_migrations()
    await migrate(database, [first])
    for chat_id in ("gc:1", "gc:2"):
        await database.execute("INSERT INTO chats (id, kind) VALUES ($1, 'group')", chat_id)
    await migrate(database, [first, *others])
    rows = await database.fetch("SELECT id, number FROM chats")
    assert len({row["number"] for row in rows}) == len(rows) == 2


async def test_client_ids_are_still_known_without_their_chat(database: Database) -> None:
    await migrate(database, [migration for migration in packaged_migrations() if migration.version < 5])
    await database.execute("INSERT INTO message_claims (sender, client_id, message_id, chat) VALUES (1, 'a', 5, 7)")
    await migrate(database)
    row = await database.fetchrow("SELECT * FROM message_claims")
    assert row is not None
    assert dict(row) == {"sender": 1, "client_id": "a", "message_id": 5}
