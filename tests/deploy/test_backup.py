"""`pychat backup` and `pychat restore`: what was there is there again, and nothing is lost on the way."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from pychat.database.dump import _without_password
from pychat.journal.session import LOCK_KEY
from tests.support.client import Person
from tests.support.command import pychat
from tests.support.door import through_the_edge
from tests.support.postgres import Postgres, execute
from tests.support.server import Options, running

EVERY_KIND = """
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE parts (id bigint GENERATED ALWAYS AS IDENTITY, day date, mood mood, body bytea, PRIMARY KEY (id, day))
        PARTITION BY RANGE (day);
    CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
    CREATE FUNCTION doubled(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n';
    CREATE VIEW glad AS SELECT id FROM parts WHERE mood = 'glad';
    CREATE SCHEMA elsewhere;
    CREATE TABLE elsewhere.things (name text PRIMARY KEY, value jsonb);
    INSERT INTO parts (day, mood, body) SELECT date '2026-12-01' + n, 'glad', convert_to(repeat('x', n), 'UTF8')
        FROM generate_series(1, 100) n;
    INSERT INTO elsewhere.things VALUES (E'tab\tline\nback\\slash', '{"a": null}');
"""


@pytest.fixture
def archive(workspace: Path) -> Path:
    folder = workspace / uuid4().hex[:8]
    folder.mkdir()
    return folder / "pychat.dump"


def embedded(options: Options) -> Options:
    """The same server, but with a database of its own."""
    environment = {name: value for name, value in options.environment.items() if name != "PYCHAT_DATABASE__URL"}
    return Options(options.folder, environment, options.dynamic_config)


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, by table."""

    async def read() -> dict[str, list[tuple[object, ...]]]:
        connection = await asyncpg.connect(url)
        try:
            tables = await connection.fetch(
                "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p', 'v')"
                " AND relnamespace::regnamespace::text IN ('public', 'elsewhere') ORDER BY 1"
            )
            rows = {table["name"]: await connection.fetch(f"SELECT * FROM {table['name']}") for table in tables}
            return {name: sorted((tuple(row) for row in found), key=repr) for name, found in rows.items()}
        finally:
            await connection.close()

    return asyncio.run(read())


@through_the_edge
def test_a_server_that_runs_is_backed_up_and_comes_back_elsewhere(
    server_options: Callable[..., Options], archive: Path
) -> None:
    first, second = embedded(server_options()), embedded(server_options())
    with running(first) as server:
        alice, bob = server.person(), server.person()
        chat_id = alice.chat_with(bob)
        backed_up = pychat("backup", str(archive), **first.environment)
        assert backed_up.exit_code == 0, backed_up.output
        assert archive.stat().st_mode & 0o777 == 0o600
        assert list(archive.parent.iterdir()) == [archive]
        # The server was not disturbed, and what came after the backup is not in it.
        late = server.person()
        refused = pychat("restore", str(archive), **first.environment)
        assert (refused.exit_code, "in use by another pychat" in refused.output) == (1, True)

    restored = pychat("restore", str(archive), **second.environment)
    assert restored.exit_code == 0, restored.output
    with running(second) as server:
        assert server.anonymous().login(alice.username).status_code == 200
        assert server.anonymous().login(late.username).status_code == 401
        # The same key, so the same tokens.
        again = Person(server.http, alice.username, str(alice.token))
        assert again.chat_with(Person(server.http, bob.username, "")) == chat_id
        refused = pychat("restore", str(archive), "--replace", **second.environment)
        assert refused.exit_code == 1

    # Stopped, but with people in it.
    refused = pychat("restore", str(archive), **second.environment)
    assert refused.exit_code == 1
    assert re.search(
        r"^pychat: there is data in the database \(\w+\); --replace gives it up", refused.output, re.MULTILINE
    )
    replaced = pychat("restore", str(archive), "--replace", **second.environment)
    assert replaced.exit_code == 0, replaced.output


def test_whatever_is_in_the_database_comes_back(postgres: Postgres, archive: Path) -> None:
    source, target = postgres.new_database(), postgres.new_database()
    execute(source, EVERY_KIND)
    for kind in ("TYPE other AS (a int)", "TABLE parts (x int PRIMARY KEY)", "TABLE late (x int REFERENCES parts)"):
        execute(target, f"CREATE {kind}")
    execute(target, "CREATE FUNCTION doubled(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 3 * n'")
    expected = content(source)
    assert len(expected["parts"]) == 100

    assert pychat("backup", str(archive), PYCHAT_DATABASE__URL=source).exit_code == 0
    restored = pychat("restore", str(archive), PYCHAT_DATABASE__URL=target)
    assert restored.exit_code == 0, restored.output
    assert content(target) == expected
    execute(target, "INSERT INTO parts (day) VALUES ('2026-01-01')")  # the sequence goes on where it was
    assert 101 in [row[0] for row in content(target)["parts"]]


def test_what_cannot_be_restored_leaves_everything_as_it_was(postgres: Postgres, archive: Path) -> None:
    source, target = postgres.new_database(), postgres.new_database()
    execute(source, EVERY_KIND)
    execute(target, EVERY_KIND)
    execute(target, "DELETE FROM parts WHERE id > 50")
    before = content(target)
    assert pychat("backup", str(archive), PYCHAT_DATABASE__URL=source).exit_code == 0
    whole = archive.read_bytes()
    for broken in (whole[: len(whole) * 2 // 3], whole[:100], b"no archive", b""):
        archive.write_bytes(broken)
        result = pychat("restore", str(archive), "--replace", PYCHAT_DATABASE__URL=target)
        assert result.exit_code == 1
        assert "pychat: pg_restore: " in result.output
        assert content(target) == before


@pytest.mark.parametrize("what", ["a link to elsewhere", "a file for everybody"])
def test_nothing_that_was_there_opens_a_backup_to_others(postgres: Postgres, archive: Path, what: str) -> None:
    elsewhere, draft = archive.parent / "elsewhere", archive.with_name("pychat.dump.part")
    elsewhere.write_bytes(b"of somebody")
    if what == "a link to elsewhere":
        draft.symlink_to(elsewhere)
    else:
        draft.touch()
        draft.chmod(0o666)
    assert pychat("backup", str(archive), PYCHAT_DATABASE__URL=postgres.new_database()).exit_code == 0
    assert elsewhere.read_bytes() == b"of somebody"
    assert not archive.is_symlink()
    assert archive.stat().st_mode & 0o777 == 0o600


def test_a_failed_backup_leaves_the_last_one(postgres: Postgres, archive: Path) -> None:
    archive.write_bytes(b"the last one")
    url = postgres.new_database()
    execute(url, "CREATE TABLE t (x int)")
    execute(url, "CREATE ROLE nobody_in_particular LOGIN")
    stranger = url.replace("pychat@", "nobody_in_particular:geheim@")
    result = pychat("backup", str(archive), PYCHAT_DATABASE__URL=stranger)
    assert result.exit_code == 1
    assert "pychat: pg_dump: " in result.output
    assert "geheim" not in result.output
    assert archive.read_bytes() == b"the last one"
    assert list(archive.parent.iterdir()) == [archive]


@through_the_edge
def test_a_database_that_a_server_uses_is_left_alone(server_options: Callable[..., Options], archive: Path) -> None:
    options = server_options()
    with running(options):
        assert pychat("backup", str(archive), **options.environment).exit_code == 0
        refused = pychat("restore", str(archive), **options.environment)
        assert (refused.exit_code, refused.output) == (1, "pychat: a pychat is using this database; stop it first\n")
    # Tables without a row in them are no data.
    assert pychat("restore", str(archive), **options.environment).exit_code == 0


def test_no_server_has_the_database_from_before_a_restore_to_its_end(postgres: Postgres, archive: Path) -> None:
    url = postgres.new_database()
    execute(url, "CREATE TABLE t (x int)")
    assert pychat("backup", str(archive), PYCHAT_DATABASE__URL=url).exit_code == 0

    async def serving(*, is_free: bool) -> asyncpg.Connection:
        """The session that a server would hold, whatever name it goes by."""
        session = await asyncpg.connect(url, server_settings={"application_name": "a pooler"})
        assert await session.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY) is is_free
        return session

    async def restore() -> tuple[int, str]:
        result = await asyncio.to_thread(pychat, "restore", str(archive), PYCHAT_DATABASE__URL=url)
        return result.exit_code, result.output

    async def run() -> None:
        server = await serving(is_free=True)
        assert await restore() == (1, "pychat: a pychat is using this database; stop it first\n")
        # While somebody reads the table it cannot be replaced.
        async with server.transaction():
            await server.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
            await server.execute("SELECT FROM t")
            restoring = asyncio.create_task(restore())
            blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 't'::regclass)"
            while not await server.fetchval(blocked):
                assert not restoring.done(), restoring.result()
                await asyncio.sleep(0.02)
            late = await serving(is_free=False)
        assert (await restoring)[0] == 0
        await late.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await asyncio.gather(late.close(), server.close())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["restore", "/absent"], "pychat: /absent: No such file or directory"),
        (["backup", "/absent/x"], "holds no database"),
    ],
)
def test_what_is_not_there_is_one_line(args: list[str], expected: str, archive: Path) -> None:
    result = pychat(*args, PYCHAT_DATABASE__DATA_DIR=str(archive.parent / "data"))
    assert result.exit_code == 1
    assert expected in result.output
    assert result.output.count("\n") == 1
    assert not (archive.parent / "data").exists()


def test_the_password_is_not_on_the_command_line() -> None:
    assert _without_password("postgresql://u:p%40ss@h:5432/d?sslmode=require") == (
        "postgresql://u@h:5432/d?sslmode=require",
        {"PGPASSWORD": "p@ss"},
    )
    assert _without_password("postgresql:///d?host=/run") == ("postgresql:///d?host=/run", {})
