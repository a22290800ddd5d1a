"""A pychat server process under test."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.support.client import Api, Person
from tests.support.command import surroundings
from tests.support.ports import free_address
from tests.support.postgres import execute
from tests.support.wait import wait_until

SIGNING_KEY: Final = "a key that only tests would use, long enough for every algorithm that signs with one: 0123456789"
READY_WITHIN_SEC = 60
STOP_WITHIN_SEC = 5
"""As operators are promised: service managers and containers kill after some ten seconds."""

# Where it is not what is looked at, many servers may stop at once.
STOPPED_WITHIN_SEC = 60


@dataclass(frozen=True)
class Options:
    """What one server is started with."""

    folder: Path
    environment: Mapping[str, str]
    dynamic_config: Mapping[str, Mapping[str, object]]

    def embedded(self) -> Options:
        """The same, with a Postgres of the server's own."""
        environment = {name: value for name, value in self.environment.items() if name != "PYCHAT_DATABASE__URL"}
        return replace(self, environment=environment)

    @property
    def data_dir(self) -> Path:
        return Path(self.environment["PYCHAT_DATABASE__DATA_DIR"])


class Server:
    """One running process; `url` is its public listener, `monitor_url` the operators'."""

    def __init__(self, options: Options) -> None:
        options.folder.mkdir(parents=True, exist_ok=True)
        self.options = options
        self._log = options.folder / "server.log"
        self._log.write_bytes(b"")
        fallback = options.folder / "dynamic_config.json"
        fallback.write_text(json.dumps(options.dynamic_config))
        self._process = start_process(
            self._log,
            {
                "PYCHAT_HTTP__LISTEN": free_address(),
                "PYCHAT_MONITOR__LISTEN": free_address(),
                "PYCHAT_DYNAMIC_CONFIG__FALLBACK": str(fallback),
                **options.environment,
            },
        )
        try:
            wait_until(self._is_listening, "the server says where it listens", within_sec=READY_WITHIN_SEC)
            self.url = f"http://{self._address()}"
            self.monitor_url = f"http://{self._address('operators')}"
            self.http = httpx.Client(
                base_url=self.url, timeout=60, limits=httpx.Limits(max_connections=None), trust_env=False
            )
            wait_until(self.is_ready, "the server is ready", within_sec=READY_WITHIN_SEC)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            error.add_note(self.log)
            raise

    @property
    def log(self) -> str:
        """All that the process has printed."""
        return self._log.read_text()

    @property
    def database_url(self) -> str:
        return self.options.environment["PYCHAT_DATABASE__URL"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        self._assert_running()
        try:
            return self.monitor("GET", "/service/ready").status_code == 200
        except httpx.TransportError:
            return False

    def anonymous(self) -> Api:
        """Somebody without a token."""
        return Api(self.http)

    def person(self, username: str | None = None) -> Person:
        """A newly registered user."""
        return Person.registered(self.http, username)

    def new_group(self, roles: Mapping[Person, str]) -> str:
        """Makes a group chat in the database, since version 1 has no route for one; returns its id."""
        chat_id = f"gc:{uuid4()}"
        execute(self.database_url, "INSERT INTO chats (id, kind) VALUES ($1, 'group')", chat_id)
        for person, role in roles.items():
            insert = "INSERT INTO chat_members (chat_id, user_id, role) VALUES ($1, $2, $3)"
            execute(self.database_url, insert, chat_id, person.user_id, role)
        return chat_id

    def monitor(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Sends one request to the operators' listener."""
        return self.http.request(method, f"{self.monitor_url}{path}", **options)

    def set_clock(self, offset_sec: float) -> None:
        answer = self.monitor("PUT", "/service/clock", json={"offset_sec": offset_sec})
        assert answer.is_success, answer.text

    def stop(self) -> None:
        """Stops the process as an operator does, and looks whether it had a clean life."""
        self.terminate()
        assert self.exit_code() == 0, self.log
        assert "Traceback" not in self.log, self.log
        assert "panicked" not in self.log, self.log

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops the process, as the system does when it has no time for it, for the duration of a `with` block."""
        threads = Path(f"/proc/{self.pid}/task")
        self._process.send_signal(signal.SIGSTOP)
        try:
            wait_until(
                lambda: all(_state(thread / "stat") == "T" for thread in threads.iterdir()), "every thread stands still"
            )
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Asks the process to stop."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process without a chance to tidy up."""
        self._process.kill()
        self.exit_code()

    def exit_code(self) -> int:
        """Waits for the process to end."""
        self.http.close()
        try:
            return self._process.wait(STOPPED_WITHIN_SEC)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait()
            error.add_note(self.log)
            raise

    def _is_listening(self) -> bool:
        self._assert_running()
        return self._address() is not None

    def _address(self, whose: str = "listens on") -> str | None:
        found = re.search(rf"{whose}\s+http://(127\.0\.0\.1:[1-9]\d*)[/\s]", self.log)
        return found[1] if found else None

    def _assert_running(self) -> None:
        assert self._process.poll() is None, f"the server ended with {self._process.returncode}"


def _state(stat: Path) -> str:
    """The letter that Linux has for what a thread does."""
    # The second field is the name in parentheses, which may hold spaces.
    return stat.read_text().rpartition(")")[2].split()[0]


def start_process(log: Path, environment: Mapping[str, str], *command: str) -> subprocess.Popen[bytes]:
    """Starts `pychat serve`, or another command, its output going to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pychat", *(command or ("serve",))],
            env={**surroundings(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running(options: Options) -> Iterator[Server]:
    """A server for the duration of a `with` block."""
    server = Server(options)
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    server.stop()
