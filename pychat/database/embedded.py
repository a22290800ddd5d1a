"""The Postgres server that pychat brings along, for those who give no `database.url`.

It lives in `data_dir/postgres`, is reached through a Unix socket in a folder that only its user may enter, and runs
as long as we do: started here, started again when it dies, stopped with us. Where we are killed the system asks it to
stop; one that has not by the next start, or that was left over, is stopped then and started anew.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import math
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

import structlog

from pychat._core import end_along
from pychat.database.server_files import (
    OLDER_MAJORS,
    SERVER_MAJOR,
    Account,
    EmbeddedPostgresError,
    outcome,
    programs_for,
    server_account,
)

log = structlog.get_logger("pychat.database")

PORT = 5432  # of the socket's name alone; no TCP port is opened
UPGRADE = "upgrade"  # the folder in which `pychat upgrade` makes the new cluster
OWN_NAMES = (
    *("lock", "postgres", "postgres.log", "postgres.new", "postgres-*", "run", "server-*", UPGRADE),
    *("signing.key", ".signing.key.*", "dynamic_config.cache.*"),
)
LONGEST_SOCKET_PATH = 103  # bytes; Linux takes 107, others less
STARTED_WITHIN_SEC = 300  # recovery after a crash reads up to max_wal_size of log
FAST_STOP_SEC = 3.0  # then without a checkpoint, which costs a recovery at the next start but no data
FORCED_STOP_SEC = 0.5
STOP_SEC = 3.5  # from the signal that stops us until it is forced to: with time to spare for us, that is within 5 s
FROZEN = "T"  # by a SIGSTOP
GONE = ("", "Z")  # as a process, or but for somebody who takes note of it
LOOK_EVERY_SEC = 0.2
RETRY_EVERY_SEC = 1.0

SERVER_OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",  # after each checkpoint a touched page goes to the log whole: make them rare
    "wal_init_zero": "off",  # a commit that needs a new file of the log would wait some 20 ms until it is full of zeros
    "min_wal_size": "512MB",  # so many of its files are used again rather than made anew
    "log_checkpoints": "off",
    "log_min_messages": "log",  # a statement's error is its sender's concern; nothing here rotates this log
}


class EmbeddedPostgres:
    """One server on one `data_dir`; it may be stopped and started again. For use from one event loop."""

    def __init__(self, data_dir: Path, major: int = SERVER_MAJOR) -> None:
        """`major` is that of the cluster: an older one is for `pychat upgrade` alone."""
        self._major = major
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "postgres"
        self._log_file = self._data_dir / "postgres.log"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._in_order_until = math.inf

    async def start(self) -> str:
        """Makes the cluster on the first run, starts the server and returns its DSN, a `postgresql://` URL.

        Raises:
            EmbeddedPostgresError: `data_dir` is in use or cannot be used, or the server does not start.
        """
        try:
            args = await asyncio.to_thread(self._prepare)
            await self._launch(args)
        except OSError as error:
            await self.stop()
            raise EmbeddedPostgresError(f"{error.filename or self._data_dir}: {error.strerror}") from error
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(args), name="embedded-postgres")
        return _url(self._socket_dir)

    def stop_soon(self) -> None:
        """Has a stop that is to come hurry: what goes before it takes of the time that it has."""
        self._in_order_until = time.monotonic() + STOP_SEC

    async def stop(self) -> None:
        """Stops the server, by force if it takes longer than a few seconds, and frees `data_dir`."""
        await self.stop_server()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def stop_server(self) -> None:
        """Stops the server and keeps `data_dir` from others until `stop`."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._process is not None:
            patience = min(FAST_STOP_SEC, self._in_order_until - time.monotonic())
            await asyncio.to_thread(_stop_process, self._process.pid, self._process, patience)
            end_along(0, 0)
            self._process = None
            with contextlib.suppress(OSError):
                self._socket_dir.rmdir()

    def _prepare(self) -> list[str | Path]:
        """Everything up to the server's command line, which it returns."""
        self._account = server_account()
        self._take_data_dir()
        self._stop_leftover()
        programs = programs_for(self._account, self._data_dir, self._major)
        self._make_cluster(programs)
        self._socket_dir = self._make_socket_dir()
        options = {**SERVER_OPTIONS, "unix_socket_directories": _quoted(self._socket_dir)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*_ending_with_us(self._account), programs / "postgres", "-D", self._cluster, *settings]

    def _take_data_dir(self) -> None:
        account, data_dir = self._account, self._data_dir
        if _is_ours(data_dir) and account.is_other:
            data_dir.chmod(0o711)  # the account may pass through to what is its own in it
        if account.is_other and not account.run("/bin/sh", "-c", 'cd "$1"', "sh", data_dir)[0]:
            raise EmbeddedPostgresError(
                f"{data_dir}: the user {account.name}, which runs the database for root, cannot enter this folder; "
                "choose another database.data_dir"
            )
        lock = (data_dir / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise EmbeddedPostgresError(f"{data_dir} is in use by another pychat (process {owner})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _stop_leftover(self) -> None:
        pid = _postmaster(self._cluster)[0]
        if pid is not None and _runs_in(pid, self._cluster):
            log.warning("a database server left over from a killed pychat is stopped", pid=pid)
            _stop_process(pid)

    def _make_cluster(self, programs: Path) -> None:
        if self._cluster.exists():
            major = major_of(self._data_dir)
            if major != self._major:
                raise EmbeddedPostgresError(f"{self._cluster} is Postgres {major}'s; {_way_on(major)}")
            return
        if (self._data_dir / UPGRADE / "postgres").exists():
            raise EmbeddedPostgresError(
                f"{self._data_dir}: an upgrade was interrupted; finish it with `pychat upgrade`"
            )
        # Under another name until it is whole: initdb may be interrupted.
        draft = self._cluster.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._account.take(draft)
        encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Whoever gets into the socket's folder is let in.
        access = ["--username=pychat", "--auth=trust"]
        options = ["-D", str(draft), *encoding, *access, "--no-instructions"]
        initdb = self._account.start([programs / "initdb", *options], subprocess.PIPE)
        # It would only take note of a SIGQUIT, and may finish first; what it has made by then is thrown away.
        end_along(initdb.pid, signal.SIGKILL)
        done, output = outcome(initdb)
        end_along(0, 0)
        if not done:
            why = output.rpartition("\n")[2] or f"initdb ended with {initdb.returncode}"
            raise EmbeddedPostgresError(f"cannot create the database in {draft}: {why}")
        draft.rename(self._cluster)

    def _make_socket_dir(self) -> Path:
        folder = self._data_dir / "run"
        # A comma would end the path, for Postgres' clients.
        if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) > LONGEST_SOCKET_PATH or "," in str(folder):
            name = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:16]
            folder = Path(f"/tmp/pychat-{self._account.uid}-{name}")
        folder.mkdir(mode=0o700, exist_ok=True)
        # All by one descriptor: in /tmp somebody else may put another folder, or a link, under the name meanwhile.
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except NotADirectoryError:
            raise EmbeddedPostgresError(f"{folder}: is not ours") from None
        try:
            if os.fstat(opened).st_uid not in (os.geteuid(), self._account.uid):
                raise EmbeddedPostgresError(f"{folder}: is not ours")
            os.fchmod(opened, 0o700)
            self._account.take(opened)
        finally:
            os.close(opened)
        return folder

    async def _launch(self, args: list[str | Path]) -> None:
        """Starts the server and waits until it accepts connections."""
        deadline = time.monotonic() + STARTED_WITHIN_SEC
        self._process = process = self._spawn(args)
        while _postmaster(self._cluster) != (process.pid, "ready"):
            if process.poll() is not None:
                raise EmbeddedPostgresError(f"the embedded Postgres does not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"the embedded Postgres is not ready; see {self._log_file}")
            await asyncio.sleep(0.02)

    def _spawn(self, args: list[str | Path]) -> subprocess.Popen[bytes]:
        with open(self._log_file, "ab", opener=_private) as output:
            process = self._account.start(args, output)
        # Without a checkpoint. The processes of its own follow the server by themselves.
        end_along(process.pid, signal.SIGQUIT)
        return process

    async def _supervise(self, args: list[str | Path]) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SEC)
            if self._process is None or self._process.poll() is None:
                continue
            # Its number may become another's.
            end_along(0, 0)
            log.error("the embedded Postgres died; starting it again")
            try:
                await self._launch(args)
            except (EmbeddedPostgresError, OSError) as error:
                # Processes of the dead server may hold its memory for a moment.
                log.error(str(error))
                await asyncio.sleep(RETRY_EVERY_SEC)

    def _last_words(self) -> str:
        lines = self._log_file.read_text(errors="replace").splitlines()
        fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
        return f"{fatal[-1] if fatal else 'no reason given'} (see {self._log_file})"


def running_url(data_dir: Path) -> str | None:
    """The DSN of the server that some pychat runs in `data_dir` and that accepts connections."""
    cluster = data_dir.absolute() / "postgres"
    pid, state = _postmaster(cluster)
    if pid is None or state != "ready" or not _runs_in(pid, cluster):
        return None
    return _url(Path((cluster / "postmaster.pid").read_text().splitlines()[4]))


def major_of(data_dir: Path) -> int | None:
    """The major version of the cluster in `data_dir`; None where there is none."""
    try:
        return int((data_dir / "postgres" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _way_on(major: int | None) -> str:
    if major in OLDER_MAJORS:
        return f"move it to this pychat's {SERVER_MAJOR} with `pychat upgrade`"
    return (
        f"this pychat has {SERVER_MAJOR}: with the pychat that wrote it make a `pychat backup`, move the folder away, "
        "and bring the backup back with this one's `pychat restore`"
    )


def _url(socket_dir: Path) -> str:
    return f"postgresql://pychat@/postgres?host={quote(str(socket_dir))}&port={PORT}&sslmode=disable"


def _is_ours(data_dir: Path) -> bool:
    """Whether nobody else uses the folder, which is made where there is none. An empty one may be anybody's."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        data_dir.mkdir(mode=0o700)
    except FileExistsError:
        names = list(data_dir.iterdir())
        return bool(names) and all(any(name.match(own) for own in OWN_NAMES) for name in names)
    return True


def _ending_with_us(account: Account) -> list[str]:
    """What begins the command line of a program that is to stop however we end; nothing where the system lacks it.

    It is asked when the thread ends that has started it: the event loop's, which is there until the process ends.
    """
    asking = ["setpriv", "--pdeathsig", "INT"]
    return asking if account.run(*asking, "true")[0] else []


def _postmaster(cluster: Path) -> tuple[int | None, str]:
    """Process id and state of the server that has last run in `cluster`, as it has written them down itself."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None, ""
    pid = int(lines[0]) if lines and lines[0].isdigit() else None
    return pid, lines[7].strip() if len(lines) > 7 else ""


def _runs_in(pid: int, cluster: Path) -> bool:
    """Whether the process is really a server of this cluster: numbers are used again."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except OSError:
        return False


def _stop_process(pid: int, child: subprocess.Popen[bytes] | None = None, in_order_sec: float = FAST_STOP_SEC) -> None:
    """Asks a server to stop fast, then harder; returns when it is gone, or does not go. One that stands still hears
    only the last."""
    for how, patience in ((signal.SIGINT, in_order_sec), (signal.SIGQUIT, FORCED_STOP_SEC), (signal.SIGKILL, 1.0)):
        is_last = how is signal.SIGKILL
        if _state(pid)[0] == FROZEN and not is_last:
            continue
        # Its processes follow it by themselves, unless they stand still as well; then its memory stays in use.
        stopping = [pid, *_children(pid)] if is_last else [pid]
        for process in stopping:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, how)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if all(_state(process)[0] in GONE for process in stopping):
                if child:
                    child.wait()
                return
            time.sleep(0.01)
    log.error("the embedded Postgres does not stop", pid=pid)


def _state(pid: int) -> tuple[str, int]:
    """What a process is at, in the system's letter for it, and its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    # The second field is the name in parentheses, which may hold spaces.
    letter, parent = stat.rpartition(")")[2].split()[:2]
    return letter, int(parent)


def _children(pid: int) -> list[int]:
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in processes if _state(process)[1] == pid]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _quoted(path: Path) -> str:
    """As an entry of a comma-separated list in Postgres' settings."""
    return '"' + str(path).replace('"', '""') + '"'
