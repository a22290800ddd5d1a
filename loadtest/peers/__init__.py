"""What pychat is compared with, and pychat itself, each as a process that is started for the comparison."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.support.folder import servers_folder
from tests.support.server import Options, running

HERE: Final = Path(__file__).parent
BUILT: Final = HERE.parent.parent / "target" / "peers"
NCHAN_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
GRANIAN: Final = "Granian, bare handler"
READY_WITHIN_SEC: Final = 20.0
STOPPED_WITHIN_SEC: Final = 5.0


class Started(NamedTuple):
    url: str
    process: psutil.Process  # with its children all that serves
    environment: Mapping[str, str] = {}  # for the driver


class Peer(NamedTuple):
    name: str
    lacks: str  # what it does not do and pychat does
    missing: str | None  # what would have to be installed
    started: Callable[[], AbstractContextManager[Started]]
    driver_options: Mapping[str, str]
    delivers: bool = True


def peers() -> list[Peer]:
    """All of them, those that cannot run here included."""
    nginx = None if shutil.which("nginx") else "nginx (Debian: nginx)"
    nchan = nginx or (None if NCHAN_MODULE.exists() else "nchan (Debian: libnginx-mod-nchan)")
    go = None if shutil.which("go") else "Go"
    node = None if shutil.which("npm") else "Node.js with npm"
    stateless = "no history, no rate limit, no membership, nothing kept for who is away; read over WebSocket"
    return [
        Peer("pychat, volatile", "no history", None, lambda: _pychat(durable=False), {}),
        Peer("pychat, durable", "", None, lambda: _pychat(durable=True), {}),
        Peer(
            "nchan",
            "no tokens, no validation, history only of the last minute, no rate limit; long-polls of one message each",
            nchan,
            _nginx,
            {"peer": "nchan"},
        ),
        Peer("centrifuge (Go library)", stateless, go, _centrifuge, {"peer": "centrifuge"}),
        Peer("socket.io (Node.js)", stateless, node, _socketio, {"peer": "socketio"}),
        Peer(GRANIAN, "does nothing: answers", None, _granian, {"peer": "bare"}, delivers=False),
        Peer("nginx, bare return", "does nothing: answers", nginx, _nginx, {"peer": "bare"}, delivers=False),
    ]


@contextmanager
def _pychat(*, durable: bool) -> Iterator[Started]:
    settings: dict[str, dict[str, object]] = {
        # One sender stands for many here: let it send as many could.
        "SEND_LIMITER_CONFIG": {"is_enabled": True, "token_refill_amount": 1_000_000, "max_rps_per_user": 1_000_000},
        "HISTORY_CONFIG": {"is_enabled": durable},
        # Making thousands of sessions takes minutes, in which the first are not polled yet.
        "SESSIONS_CONFIG": {"idle_timeout_sec": 86_400},
    }
    with servers_folder() as folder:
        environment = {
            "PYCHAT_DATABASE__DATA_DIR": str(folder / "data"),
            "PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS": "20000",
        }
        with running(Options(folder, environment, settings)) as server:
            yield Started(server.url, psutil.Process(server.pid))


@contextmanager
def _nginx() -> Iterator[Started]:
    with servers_folder() as folder:
        address = _free_address()
        config = (HERE / "nginx.conf").read_text()
        for word, value in {"PREFIX": folder, "LISTEN": address, "MODULE": NCHAN_MODULE}.items():
            config = config.replace(word, str(value))
        if not NCHAN_MODULE.exists():
            config = "\n".join(
                line for line in config.splitlines() if "nchan" not in line and "load_module" not in line
            )
        (folder / "nginx.conf").write_text(config)
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        with _process(command, address) as started:
            yield started


@contextmanager
def _centrifuge() -> Iterator[Started]:
    BUILT.mkdir(parents=True, exist_ok=True)
    binary = BUILT / "centrifuge"
    subprocess.run(["go", "build", "-o", binary, "."], cwd=HERE / "centrifuge", check=True)
    address = _free_address()
    # One core, as all of them have.
    with _process([str(binary), "-listen", address], address, GOMAXPROCS="1") as started:
        yield started


@contextmanager
def _socketio() -> Iterator[Started]:
    folder = BUILT / "socketio"
    shutil.copytree(HERE / "socketio", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    address = _free_address()
    with _process(["node", str(folder / "server.js"), address], address) as started:
        yield started


@contextmanager
def _granian() -> Iterator[Started]:
    address = _free_address()
    host, port = address.split(":")
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--host", host, "--port", port, "--no-ws"]
    with _process([*command, "--log-level", "error", "loadtest.peers.granian_bare:app"], address) as started:
        yield started


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def _process(command: list[str], address: str, **environment: str) -> Iterator[Started]:
    key = {"PEER_SIGNING_KEY": secrets.token_hex(32)}
    process = subprocess.Popen(command, env={**os.environ, **environment, **key}, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_WITHIN_SEC
        host, port = address.split(":")
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not listen on {address}") from None
                time.sleep(0.05)
        yield Started(f"http://{address}", psutil.Process(process.pid), key)
    finally:
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN_SEC)
        except subprocess.TimeoutExpired:
            # Nothing is left to be tidied up, and open connections may keep one from stopping.
            process.kill()
            process.wait()
