"""The server writes nowhere but to its data folder and the temporary one: the rest may be read-only."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.wait import wait_until

# In a mount namespace of its own, where `/` is read-only, but for one folder.
READ_ONLY = """
set -e
mount --bind / /
mount --bind "$WRITABLE" "$WRITABLE"
mount -o remount,bind,ro /
if touch /var/writable 2>/dev/null; then exit 3; fi
exec "$@"
"""


@pytest.fixture
def writable() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pychat-", dir="/var/tmp"))
    folder.chmod(0o711)
    (folder / "tmp").mkdir(mode=0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_the_server_runs_where_it_cannot_write(writable: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {
        "PATH": os.defpath,
        "PYTHONDONTWRITEBYTECODE": "1",
        "WRITABLE": str(writable),
        "TMPDIR": str(writable / "tmp"),
        "PYCHAT_DATABASE__DATA_DIR": str(writable / "data"),
        "PYCHAT_HTTP__LISTEN": "127.0.0.1:0",
        "PYCHAT_MONITOR__LISTEN": "127.0.0.1:0",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", READ_ONLY, "sh"),
                *(sys.executable, "-m", "pychat", "serve"),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        return "Ctrl+C" in log.read_text()

    try:
        wait_until(listens, "the server listens", within_sec=60)
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert found
        assert httpx.get(f"{found[0]}/ping", trust_env=False).status_code == 200
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
