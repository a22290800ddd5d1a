"""100,000 sessions are opened and collected: the memory that they took is given back."""

import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from benches.process import resident_bytes
from tests.conftest import QUICK_POLLS, Launch
from tests.support.door import through_the_edge
from tests.support.metrics import Scrape
from tests.support.postgres import execute
from tests.support.server import Server
from tests.support.tokens import signed

pytestmark = through_the_edge

USERS = 20_000
SESSIONS_EACH = 5
IDLE_TIMEOUT_SEC = 600
CONNECTIONS = 16
# Requests that are written before the first answer is read: what fits into the sockets' buffers.
AT_A_TIME = 50


@pytest.fixture
def server(launch: Launch) -> Iterator[Server]:
    with launch(
        {
            **QUICK_POLLS,
            "SESSIONS_CONFIG": {"idle_timeout_sec": IDLE_TIMEOUT_SEC, "max_sessions_amount": SESSIONS_EACH},
            "GC_TASK_CONFIG": {"is_enabled": False},
        },
        PYCHAT_TESTING__ENABLED="true",
    ) as started:
        yield started


def resident_mb(server: Server) -> float:
    return resident_bytes(server.pid) / (1 << 20)


def ask(server: Server, requests: Sequence[bytes], status: int) -> None:
    """Sends the requests, some at a time, over one connection; each must be answered with `status`."""
    address = urlsplit(server.url)
    assert address.port is not None
    with socket.create_connection((address.hostname or "", address.port), timeout=60) as connection:
        for start in range(0, len(requests), AT_A_TIME):
            batch = requests[start : start + AT_A_TIME]
            connection.sendall(b"".join(batch))
            answers = b""
            while answers.count(b"\r\n\r\n") < len(batch) or not answers.endswith(b"}"):
                received = connection.recv(1 << 16)
                assert received, answers
                answers += received
            assert answers.count(b"HTTP/1.1 %d " % status) == len(batch), answers


def ask_all(server: Server, requests: Sequence[bytes], status: int) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        share = -(-len(requests) // CONNECTIONS)
        parts = [requests[start : start + share] for start in range(0, len(requests), share)]
        list(pool.map(lambda part: ask(server, part, status), parts))


def test_the_memory_of_collected_sessions_is_given_back(server: Server, figure: Callable[[str], None]) -> None:
    # The first in their table, so that these are their ids.
    ids = range(1, USERS + 1)
    execute(
        server.options.environment["PYCHAT_DATABASE__URL"],
        "INSERT INTO users (username, password_hash, display_name)"
        f" SELECT 'crowd' || i, '', 'Crowd' FROM generate_series(1, {USERS}) AS i",
    )
    claims = {"iss": "realtime-chat", "jti": "", "iat": 0, "exp": 1 << 40, "gen": 0}
    tokens = [signed({**claims, "id": user_id}).encode() for user_id in ids]
    head = b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    # They have been here before: what is remembered of users and tokens, sessions or not, counts for neither side.
    ask_all(server, [b"GET /v1/messages/poll/none" + head + token + b"\r\n\r\n" for token in tokens], 410)
    before = resident_mb(server)

    opens = [
        b"POST /v1/messages/poll/start" + head + token + b"\r\n\r\n" for token in tokens for _ in range(SESSIONS_EACH)
    ]
    ask_all(server, opens, 200)
    assert Scrape.of(server).value("chat_sessions_opened_current") == USERS * SESSIONS_EACH
    full = resident_mb(server)
    assert full > before + 50, "sessions that take no memory have none to give back"

    server.set_clock(IDLE_TIMEOUT_SEC + 1)
    answer = server.monitor("POST", "/service/tasks/gc-background-job", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert Scrape.of(server).value("chat_sessions_opened_current") == 0
    after = resident_mb(server)
    figure(f"{before:.0f} MB before, {full:.0f} with {USERS * SESSIONS_EACH:,} sessions, {after:.0f} after")
    assert after <= 1.1 * before, f"{before:.0f} MB before, {full:.0f} full, {after:.0f} after"
