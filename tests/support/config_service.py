"""`pychat dynconf serve` under test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.configs import Configs
from tests.support.ports import free_address
from tests.support.server import READY_WITHIN_SEC, STOPPED_WITHIN_SEC, start_process
from tests.support.wait import wait_until


class ConfigService(Configs):
    """One running process, at `url`."""

    def __init__(self, folder: Path, database_url: str, listen: str | None = None, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "config-service.log"
        self._log.write_bytes(b"")
        own = {"PYCHAT_DATABASE__URL": database_url, "PYCHAT_DYNAMIC_CONFIG__LISTEN": listen or free_address()}
        self._process = start_process(self._log, {**own, **environment}, "dynconf", "serve")
        try:
            wait_until(self._is_listening, "the config service says where it listens", within_sec=READY_WITHIN_SEC)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            error.add_note(self.log)
            raise
        self.address = self._address()
        self.url = f"http://{self.address}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        super().__init__(self.http.post, environment.get("PYCHAT_MONITOR__ADMIN_TOKEN"))

    @property
    def log(self) -> str:
        """All that the process has printed."""
        return self._log.read_text()

    def stop(self) -> None:
        """Stops the process as an operator does, and looks whether it had a clean life."""
        self.http.close()
        self._process.terminate()
        assert self._process.wait(STOPPED_WITHIN_SEC) == 0, self.log
        assert "Traceback" not in self.log, self.log

    def kill(self) -> None:
        """Ends the process without a chance to tidy up (SIGKILL)."""
        self.http.close()
        self._process.kill()
        self._process.wait()

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"the config service ended with {self._process.returncode}"
        return self._address() != ""

    def _address(self) -> str:
        found = re.search(r"configs on http://(127\.0\.0\.1:[1-9]\d*)[/\s]", self.log)
        return found[1] if found else ""


@contextmanager
def running_service(
    folder: Path, database_url: str, listen: str | None = None, **environment: str
) -> Iterator[ConfigService]:
    """A config service for the duration of a `with` block."""
    service = ConfigService(folder, database_url, listen, **environment)
    try:
        yield service
    except BaseException:
        service.kill()
        raise
    service.stop()
