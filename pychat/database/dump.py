"""All that is in a database, into one file and back, by Postgres' own programs: they know every table there will be.

The embedded server's wheel brings them. They read any Postgres 14 or later that is not newer than they are.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit

from pychat.database.clear import CLEAR
from pychat.database.server_files import own_account, programs_for

Tell = Callable[[str, int], None]
"""Is told what is being copied and how many bytes have been so far."""

PIECE = 256 * 1024
PREAMBLE = 4096  # the dump's opening settings are well within it
_TABLE = re.compile(r'(?:dumping contents of|processing data for) table "?(.+?)"?$')
_FOREIGN_SETTING = b"SET transaction_timeout = 0;\n"  # since 17; for an older server it is an error


class DumpError(Exception):
    """A dump could not be made or read; the message is one line."""


async def dump(url: str, file: Path, data_dir: Path, tell: Tell) -> int:
    """Writes the database at `url`, as it is at this moment, to `file`; a file of that name is replaced once the new
    one is whole. Returns its size.

    Raises:
        DumpError, OSError
    """
    draft = file.with_name(f"{file.name}.part")
    try:
        with _private(draft) as output:
            async with _running(data_dir, _dump_args("--format=custom"), url, tell) as program:
                async for piece in program.pieces():
                    output.write(piece)
                await program.succeed()
            output.flush()
            os.fsync(output.fileno())
            size = output.tell()
        draft.replace(file)
        return size
    finally:
        draft.unlink(missing_ok=True)


async def restore(file: Path, url: str, data_dir: Path, server_major: int, tell: Tell) -> None:
    """Replaces all that is in the database at `url` by what is in `file`, or changes nothing.

    Raises:
        DumpError, OSError
    """
    with file.open("rb") as archive:
        args = ["pg_restore", "--file=-", "--verbose", "--no-owner", "--no-privileges"]
        async with _running(data_dir, args, None, tell, stdin=archive.fileno()) as source:
            await _replay(source, url, data_dir, server_major)


async def copy(source_url: str, url: str, data_dir: Path, server_major: int, tell: Tell) -> None:
    """As `restore`, straight from another database.

    Raises:
        DumpError, OSError
    """
    async with _running(data_dir, _dump_args("--format=plain"), source_url, tell) as source:
        await _replay(source, url, data_dir, server_major)


async def _replay(source: "_Program", url: str, data_dir: Path, server_major: int) -> None:
    """One transaction, committed only when the source has come to its end in order."""
    args = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    async with _running(data_dir, args, url, lambda *_: None, stdin=asyncio.subprocess.PIPE) as target:
        await target.write(f"BEGIN;\n{CLEAR}\n".encode())
        preamble = await source.exactly(PREAMBLE)
        await target.write(preamble if server_major >= 17 else preamble.replace(_FOREIGN_SETTING, b""))
        async for piece in source.pieces():
            await target.write(piece)
        await source.succeed()
        # What the planner knows of the tables is not in a dump.
        await target.write(b"\nCOMMIT;\nANALYZE;\n")
        await target.succeed()


class _Program:
    """One of Postgres' programs while it runs."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, tell: Tell) -> None:
        self._name = name
        self._process = process
        self._tell = tell
        self._what = ""
        self._bytes = 0
        self._last_words = ""
        self._listening = asyncio.create_task(self._listen())

    async def pieces(self) -> AsyncIterator[bytes]:
        """What it prints, to the end."""
        assert self._process.stdout
        while piece := await self._process.stdout.read(PIECE):
            self._count(piece)
            yield piece

    async def exactly(self, size: int) -> bytes:
        """The next `size` bytes of what it prints, fewer only at the end."""
        assert self._process.stdout
        try:
            piece = await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError as end:
            piece = end.partial
        self._count(piece)
        return piece

    async def write(self, data: bytes) -> None:
        """Raises `DumpError` when it has given up."""
        assert self._process.stdin
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except ConnectionError:
            await self.succeed()

    async def succeed(self) -> None:
        """Waits for it to end; raises `DumpError`, with its own last words, when it failed."""
        if self._process.stdin:
            self._process.stdin.close()
        if await self._process.wait() != 0:
            await self._listening
            raise DumpError(f"{self._name}: {self._last_words or f'ended with {self._process.returncode}'}")

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            if found := _TABLE.search(text):
                self._what = found[1]
            elif "error: " in text or "ERROR: " in text or "FATAL: " in text:
                self._last_words = re.split(r"(?:error|ERROR|FATAL): +", text)[-1]

    def _count(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._tell(self._what, self._bytes)


@asynccontextmanager
async def _running(
    data_dir: Path, args: Sequence[str], url: str | None, tell: Tell, stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[_Program]:
    """A program of the wheel's, connected to the database at `url`; it does not outlive the block."""
    programs = await asyncio.to_thread(programs_for, own_account(), data_dir)
    name, *options = args
    shown, password = _without_password(url) if url else ("", {})
    if url:
        options.append(f"--dbname={shown}")
    process = await asyncio.create_subprocess_exec(
        programs / name,
        *options,
        stdin=stdin,
        stdout=asyncio.subprocess.DEVNULL if name == "psql" else asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=PIECE,
        env={**os.environ, **password, "LC_ALL": "C"},
    )
    program = _Program(name, process, tell)
    try:
        yield program
    finally:
        await program.end()


def _private(file: Path) -> BinaryIO:
    """A new file, its owner's alone: there will be password hashes and messages in it. What had its name, left by a
    backup that was killed or laid there as a link by somebody, is neither followed nor kept."""
    file.unlink(missing_ok=True)
    return open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))


def _dump_args(form: str) -> list[str]:
    return ["pg_dump", form, "--verbose", "--no-owner", "--no-privileges"]


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The URL, and its password as the environment that hands it over: everybody may read a command line."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name, has_password, password = user.partition(":")
    if not has_password:
        return url, {}
    return urlunsplit(parts._replace(netloc=f"{name}@{place}")), {"PGPASSWORD": unquote(password)}
