"""How Postgres finds what the routes of version 2 ask for: by an index, reading no table, however wrong it guesses.

A table with many rows in several partitions, analyzed; each statement with the plan for all arguments, which the pool
asks for, and the one for its arguments, which Postgres may choose for the journal's session.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from pychat.chats import overview
from pychat.database import pool
from pychat.database.migrate import migrate
from pychat.database.pool import Database
from pychat.journal import claims, session, storing, writer
from pychat.messages import store
from pychat.messages.rules import HIGHEST_ID
from pychat.users import search
from tests.support.postgres import Postgres, connected

PARTITIONS = 8
WIDTH = 10_000
"""Ids a partition has, every one of them used."""

USERS = 20_000
CHATS = 100
"""Of the first user; everybody else has one or two."""

TALKATIVE = 200
"""Chats that have messages."""

UNREAD = TALKATIVE + 1
"""One more, where its one member has read none of very many."""

ROWS = [
    f"""
    INSERT INTO users (username, display_name, password_hash)
    SELECT 'u' || n, 'Name ' || n, '' FROM generate_series(1, {USERS}) n
    """,
    f"""
    INSERT INTO chats (id, kind, pair_low, pair_high)
    SELECT 'pc:' || n, 'private', CASE WHEN n <= {CHATS} THEN 1 ELSE n END, n FROM generate_series(1, {USERS}) n
    """,
    """
    INSERT INTO chat_members (chat_id, user_id, role)
    SELECT id, pair_low, 'writer' FROM chats UNION SELECT id, pair_high, 'writer' FROM chats
    """,
    *[
        f"CREATE TABLE messages_{n} PARTITION OF messages FOR VALUES FROM ({n * WIDTH}) TO ({(n + 1) * WIDTH})"
        for n in range(PARTITIONS)
    ],
    f"""
    INSERT INTO messages
    SELECT n, 1 + n % {TALKATIVE}, 1 + n % 2, 'Hello' FROM generate_series(1, {PARTITIONS * WIDTH - 1}) n
    """,
    "INSERT INTO message_claims (sender, client_id, message_id) SELECT sender, id::text, id FROM messages",
    f"INSERT INTO messages SELECT n, {UNREAD}, 1, 'Hello' FROM generate_series(1, 3000) n",
]


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with connected(url) as opened:
        if await migrate(opened):
            for statement in ROWS:
                await opened.execute(statement)
            await opened.execute("VACUUM ANALYZE")
        yield opened


STATEMENTS: dict[str, tuple[str, list[object]]] = {
    "newest": (store.BEFORE, ["pc:100", 1, HIGHEST_ID, 51]),
    "before": (store.BEFORE, ["pc:100", 1, 3 * WIDTH, 51]),
    "after": (store.AFTER, ["pc:100", 1, 3 * WIDTH, 51]),
    "chats": (overview.PAGE, [1, HIGHEST_ID, HIGHEST_ID, 51]),
    "chat": (overview.ONE, [1, "pc:100"]),
    "unread chat": (overview.ONE, [UNREAD, f"pc:{UNREAD}"]),
    "move mark": (overview.MOVE_MARK, ["pc:100", 1, 5]),
    "mark": (overview.MARK, ["pc:100", 1]),
    "username": (search.BY_USERNAME, ["u1", search.BEYOND, "u15", 21]),
    "display name": (search.BY_DISPLAY_NAME, ["name 1", search.BEYOND, "name 15", "u15", 21]),
}

# Many at once, as a batch of the journal has them.
_IDS = range(3 * WIDTH, 3 * WIDTH + 500)
_ID_ARRAY = f"{{{','.join(map(str, _IDS))}}}"
_SENDER_ARRAY = f"{{{','.join(str(1 + number % 2) for number in _IDS)}}}"
STATEMENTS |= {
    "repeated claims": (claims.FIND, [_SENDER_ARRAY, _ID_ARRAY]),
    "forget claims": (claims.FORGET, [WIDTH, 2 * WIDTH, 300]),
}
OF_THE_JOURNAL: dict[str, tuple[str, list[object]]] = {
    "claimed": (storing.CLAIMED, [_ID_ARRAY]),
    "is committed": (writer.IS_THERE, [3 * WIDTH]),
    "is not committed": (writer.IS_THERE, [HIGHEST_ID]),
    "last id": (writer.LAST_ID, []),
}
"""By its own session, which has settings of its own."""


async def plan_of(database: Database, mode: str, name: str) -> dict[str, Any]:
    """The plan as it was carried out."""
    sql, args = {**STATEMENTS, **OF_THE_JOURNAL}[name]
    settings = session.SETTINGS if name in OF_THE_JOURNAL else pool.SETTINGS
    seqscan, sort = (settings.get(setting, "on") for setting in ("enable_seqscan", "enable_sort"))
    async with database.transaction() as connection:
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await connection.execute(f"SET LOCAL enable_seqscan = {seqscan}; SET LOCAL enable_sort = {sort}")
        # By the name of a prepared statement, for the plan of an EXPLAIN with arguments is always made for these.
        await connection.execute(f"PREPARE explained AS {sql}; SAVEPOINT before")
        literals = ", ".join(f"'{argument}'" for argument in args)
        given = f"({literals})" if args else ""
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained {given}")
        await connection.execute("ROLLBACK TO before; DEALLOCATE explained")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("name", [*STATEMENTS, *OF_THE_JOURNAL])
async def test_rows_are_found_by_an_index(database: Database, mode: str, name: str) -> None:
    plan = await plan_of(database, mode, name)
    for node in nodes(plan):
        assert node["Node Type"] != "Seq Scan", node
    # Of the tens of thousands; the list of chats looks at the last message of each, and at the unread ones of a page.
    touched = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan) if "Relation Name" in node)
    most = {"chats": 40_000, "unread chat": overview.MAX_UNREAD + 100}
    assert touched < most.get(name, 1_000), touched


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_a_page_ends_in_the_partitions_that_hold_it(database: Database, mode: str) -> None:
    for name, expected in [
        ("newest", {7, 6}),
        ("before", {2, 1}),
        ("after", {3, 4}),
        ("is committed", {3}),
        ("is not committed", set()),
        ("last id", {7}),
    ]:
        plan = await plan_of(database, mode, name)
        read = {
            int(node["Relation Name"].removeprefix("messages_"))
            for node in nodes(plan)
            if str(node.get("Relation Name", "")).startswith("messages_") and node["Actual Loops"]
        }
        assert read <= expected, (name, read)


async def test_a_plan_is_made_once_a_connection(database: Database) -> None:
    """To plan a page of a long past, over all partitions, takes several times as long as to read it."""
    for _ in range(3):
        await store.page_before(database, "pc:100", 1, HIGHEST_ID, 51)
    made = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    assert [tuple(row) for row in await database.fetch(made, store.BEFORE)] == [(3, 0)]
