"""`pychat upgrade`: the embedded database moves to a newer Postgres with all that is in it."""

import asyncio
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from pychat.database.embedded import EmbeddedPostgres
from pychat.database.migrate import migrate
from pychat.database.server_files import OLDER_MAJORS, SERVER_MAJOR, programs_for, server_account
from tests.support.command import pychat
from tests.support.postgres import connected

INSERT = "INSERT INTO users (username, display_name, password_hash) VALUES ('ann', 'Ann', 'x')"


async def make_old_cluster(data_dir: Path, major: int) -> None:
    """What a pychat of the time of that version would have left behind."""
    account = server_account()
    data_dir.mkdir(mode=0o711)
    cluster = data_dir / "postgres"
    cluster.mkdir(mode=0o700)
    account.take(cluster)
    programs = programs_for(account, data_dir, major)
    options = ["--encoding=UTF8", "--locale=C", "--username=pychat", "--auth=trust", "--no-sync"]
    process = account.start([programs / "initdb", "-D", cluster, *options], subprocess.PIPE)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    server = EmbeddedPostgres(data_dir, major)
    async with connected(await server.start()) as database:
        await migrate(database)
        await database.execute(INSERT)
    await server.stop()


async def names(data_dir: Path) -> list[str]:
    """The users in the database, by the server of today."""
    server = EmbeddedPostgres(data_dir)
    try:
        async with connected(await server.start()) as database:
            assert str(await database.fetchval("SHOW server_version")).startswith(f"{SERVER_MAJOR}.")
            return [row["username"] for row in await database.fetch("SELECT username FROM users")]
    finally:
        await server.stop()


@pytest.mark.parametrize("major", OLDER_MAJORS)
async def test_the_data_moves_to_the_newer_postgres(workspace: Path, major: int) -> None:
    data_dir = workspace / uuid4().hex[:8]
    own = {"PYCHAT_DATABASE__DATA_DIR": str(data_dir)}
    listen = {"PYCHAT_HTTP__LISTEN": "127.0.0.1:0", "PYCHAT_MONITOR__LISTEN": "127.0.0.1:0"}

    async def run(command: str, *args: str) -> tuple[int, str]:
        result = await asyncio.to_thread(pychat, command, *args, **own, **listen)
        return result.exit_code, result.output

    await make_old_cluster(data_dir, major)
    way_on = f"move it to this pychat's {SERVER_MAJOR} with `pychat upgrade`"
    assert await run("serve") == (1, f"pychat: {data_dir}/postgres is Postgres {major}'s; {way_on}\n")
    # A backup is made by the old one, as the way for those who would rather not have two at a time.
    assert (await run("backup", str(workspace / f"{data_dir.name}.dump")))[0] == 0

    # An old cluster that nobody has deleted is in the way of this one: said before anything is copied.
    kept = data_dir / f"postgres-{major}"
    kept.mkdir()
    (kept / "kept").touch()
    in_the_way = f"{kept} is there already, from an upgrade before: move it away or delete it"
    assert await run("upgrade") == (1, f"pychat: {in_the_way}\n")
    assert not (data_dir / "upgrade").exists()
    (kept / "kept").unlink()
    kept.rmdir()

    # The remains of an upgrade that was interrupted early.
    interrupted = EmbeddedPostgres(data_dir / "upgrade")
    async with connected(await interrupted.start()) as database:
        await migrate(database)
    await interrupted.stop()
    exit_code, output = await run("upgrade")
    assert exit_code == 0, output
    assert f"the old data is in {kept}" in output
    assert (kept / "PG_VERSION").read_text() == f"{major}\n"
    assert not (data_dir / "upgrade").exists()
    assert await names(data_dir) == ["ann"]
    assert await run("upgrade") == (0, f"nothing to do: Postgres {SERVER_MAJOR} is this pychat's own\n")

    # Interrupted late, between the two renames: a start must not begin with an empty database.
    (data_dir / "upgrade").mkdir()
    (data_dir / "postgres").rename(data_dir / "upgrade" / "postgres")
    assert await run("serve") == (
        1,
        f"pychat: {data_dir}: an upgrade was interrupted; finish it with `pychat upgrade`\n",
    )
    assert (await run("upgrade"))[0] == 0
    assert await names(data_dir) == ["ann"]


async def test_data_of_an_unknown_postgres_is_left_alone(workspace: Path) -> None:
    data_dir = workspace / uuid4().hex[:8]
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("99\n")
    own = {"PYCHAT_DATABASE__DATA_DIR": str(data_dir), "PYCHAT_HTTP__LISTEN": "127.0.0.1:0"}
    for command, expected in [
        (["upgrade"], "is Postgres 99's; this pychat knows 16 and 18"),
        (["serve"], "is Postgres 99's; this pychat has 18: with the pychat that wrote it make a `pychat backup`"),
        (["backup", str(workspace / "x")], "is Postgres 99's"),
    ]:
        result = await asyncio.to_thread(pychat, *command, **own)
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert expected in result.output


async def test_another_servers_database_is_not_ours_to_upgrade() -> None:
    result = await asyncio.to_thread(pychat, "upgrade", PYCHAT_DATABASE__URL="postgresql://u:geheim@db.example/chat")
    assert result.exit_code == 1
    assert result.output == "pychat: database.url is set: that server's own administrator upgrades it\n"
