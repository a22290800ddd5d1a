"""`pychat backup`, `pychat restore` and `pychat upgrade`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import click

from pychat.cli_options import config_option, load
from pychat.database.clear import TABLES
from pychat.database.dump import DumpError, dump
from pychat.database.dump import restore as restore_dump
from pychat.database.embedded import EmbeddedPostgres, major_of, running_url
from pychat.database.pool import Database, DatabaseUnavailable
from pychat.database.progress import Progress, amount
from pychat.database.server_files import OLDER_MAJORS, SERVER_MAJOR, EmbeddedPostgresError
from pychat.database.upgrade import upgrade_cluster
from pychat.journal.session import LOCK_KEY
from pychat.logs import configure_logs
from pychat.settings import Settings

_archive = click.argument("archive", metavar="ARCHIVE", type=click.Path(path_type=Path, dir_okay=False))

OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name IN ('pychat', 'pychat journal') AND datname = current_database() AND pid <> pg_backend_pid()
"""

IN_USE = "a pychat is using this database; stop it first"


class Unfit(Exception):
    """What was asked for does not fit what is there; the message is one line."""


@click.command()
@config_option
@_archive
def backup(file: Path | None, archive: Path) -> None:
    """Write the whole database, as it is at this moment, to ARCHIVE.

    The server may go on running. ARCHIVE is readable by you alone; one that is there already is replaced once the new
    one is whole. It is in pg_dump's custom format, so pg_restore reads it too. It does not hold the key that
    tokens are signed with: copy auth.key_file as well, or else everybody has to log in again after a restore.
    """
    _run(file, lambda settings: _backup(settings, archive))


@click.command()
@config_option
@_archive
@click.option("--replace", is_flag=True, help="Restore even if there are users, chats or anything else: all that goes.")
def restore(file: Path | None, archive: Path, replace: bool) -> None:
    """Put what is in ARCHIVE, which `pychat backup` has written, into the database.

    The server must be stopped. The database must be empty but for its tables, or --replace given. It is done in one
    transaction: if it fails or is interrupted, everything is as before. The next start brings the schema up to date.
    """
    _run(file, lambda settings: _restore(settings, archive, replace))


@click.command()
@config_option
def upgrade(file: Path | None) -> None:
    """Move the embedded database to the Postgres of this pychat.

    Needed when `serve` says that the data is an older Postgres's. The server must be stopped, and the disk have room
    for a second copy: the old one stays beside it until you delete it. An interrupted upgrade is begun again.
    """
    _run(file, _upgrade)


async def _backup(settings: Settings, archive: Path) -> str:
    async with _source(settings) as url, _connected(url) as database:
        size = await database.fetchval("SELECT pg_database_size(current_database())")
        with Progress(f"backing up a database of {amount(size)}") as progress:
            written = await dump(url, archive, settings.database.data_dir, progress.tell)
    key = "" if settings.auth.signing_key else f"; the signing key is not in it: {settings.auth.key_file}"
    return f"{archive}: {amount(written)}{key}"


async def _restore(settings: Settings, archive: Path, replace: bool) -> str:
    with archive.open("rb"):  # before anything is started for it
        pass
    postgres = None if settings.database.url else EmbeddedPostgres(settings.database.data_dir)
    try:
        url = await postgres.start() if postgres else settings.database.url
        async with _connected(url) as database, _reserved(database):
            await _check_target(database, replace)
            major = int(await database.fetchval("SHOW server_version_num")) // 10_000
            with Progress(f"restoring {archive}") as progress:
                await restore_dump(archive, url, settings.database.data_dir, major, progress.tell)
    finally:
        if postgres:
            await postgres.stop()
    return "restored"


async def _upgrade(settings: Settings) -> str:
    if settings.database.url:
        raise Unfit("database.url is set: that server's own administrator upgrades it")
    with Progress("upgrading") as progress:
        kept = await upgrade_cluster(settings.database.data_dir, progress.tell)
    if kept is None:
        return f"nothing to do: Postgres {SERVER_MAJOR} is this pychat's own"
    return f"upgraded to Postgres {SERVER_MAJOR}; the old data is in {kept}: delete it when all is well"


@asynccontextmanager
async def _source(settings: Settings) -> AsyncIterator[str]:
    """The database to be read: another's, one that a pychat is serving from, or one started for the occasion."""
    data_dir = settings.database.data_dir
    if url := settings.database.url or running_url(data_dir):
        yield url
        return
    major = major_of(data_dir)
    if major is None:
        raise Unfit(f"{data_dir} holds no database")
    postgres = EmbeddedPostgres(data_dir, major if major in OLDER_MAJORS else SERVER_MAJOR)
    try:
        yield await postgres.start()
    finally:
        await postgres.stop()


@asynccontextmanager
async def _reserved(database: Database) -> AsyncIterator[None]:
    """Holds the lock of the process that serves the database, so that none does, and none begins to, meanwhile."""
    session = await database.connect_alone({"application_name": "pychat restore"})
    try:
        if not await session.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            raise Unfit(IN_USE)
        yield
    finally:
        session.terminate()


async def _check_target(database: Database, replace: bool) -> None:
    if await database.fetchval(OTHERS):  # one that waits to serve it, or `pychat dynconf serve`, which has no lock
        raise Unfit(IN_USE)
    if replace:
        return
    for (table,) in await database.fetch(TABLES):
        if await database.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # the name as Postgres quotes it
            raise Unfit(f"there is data in the database ({table}); --replace gives it up for the archive's")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        await database.connect()
        yield database
    finally:
        await database.close()


def _run(file: Path | None, work: Callable[[Settings], Awaitable[str]]) -> None:
    settings = load(file).settings
    configure_logs(settings.log)

    async def run() -> str:
        return await work(settings)

    try:
        click.echo(asyncio.run(run()))
    except (Unfit, DumpError, EmbeddedPostgresError, DatabaseUnavailable) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        return
    click.echo(f"pychat: {reason}", err=True)
    sys.exit(1)
