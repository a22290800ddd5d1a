"""Debian's nginx with the project's own configuration."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.wait import wait_until

CONFIGS = Path(__file__).parents[2] / "configs"

READ_TIMEOUT_SEC = 4
"""Longer than an answer takes that is not held, also on a busy machine."""


@dataclass(frozen=True)
class Nginx:
    url: str
    folder: Path

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()


@contextmanager
def nginx_before(
    upstream: str, folder: Path, changes: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Iterator[Nginx]:
    """Runs nginx in front of the server at `upstream`, an URL.

    nginx.conf is taken as it is. In the two files for what differs from place to place the addresses and the log's
    path are replaced, nginx's temporary files are put into `folder`, and the default of proxy_read_timeout, 60 s, is
    made shorter, so that a test sees in time what would be cut off. `changes` are further replacements, in nginx.conf,
    and `files` take the place of the two.
    """
    folder.mkdir()
    (folder / "nginx.d").mkdir()
    port = free_port()
    upstream = upstream.removeprefix("http://")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    here = {
        "server 127.0.0.1:8080;": f"server {upstream};",
        "listen 80 default_server;": f"listen 127.0.0.1:{port} default_server;",
        "access_log /var/log/nginx/access.log": "\n".join(
            [
                f"proxy_read_timeout {READ_TIMEOUT_SEC}s;",
                *(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
                f"access_log {folder}/access.log",
            ]
        ),
    }
    for name in ("nginx.conf", "nginx.d/http.conf", "nginx.d/server.conf"):
        text = (files or {}).get(name) or (CONFIGS / name).read_text()
        for old, new in ((changes or {}) if name == "nginx.conf" else here).items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program, "nginx is not installed; Debian: apt-get install nginx"
    error_log = folder / "error.log"
    with error_log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-e", "stderr", "-c", folder / "nginx.conf", "-g", f"daemon off; pid {folder}/nginx.pid;"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _accepts(url, process), "nginx accepts connections")
        yield Nginx(url, folder)
    except BaseException as error:
        error.add_note(error_log.read_text())
        raise
    finally:
        process.terminate()
        process.wait(60)
    complaints = re.findall(r".*\[(?:warn|crit|emerg)\].*", error_log.read_text())
    assert not complaints, complaints


def _accepts(url: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, f"nginx ended with {process.returncode}"
    try:
        return httpx.get(f"{url}/service", trust_env=False).status_code in (404, 308)
    except httpx.TransportError:
        return False
