"""The database falls silent with messages under way, as when its host is lost, and the server is stopped."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.postgres import Postgres
from tests.support.server import Options, Server
from tests.support.wait import wait_until

STOP_WITHIN_SEC = 10
"""Its own bounds, and what service managers wait before they kill."""


@pytest.fixture
def own_postgres(workspace: Path) -> Iterator[Postgres]:
    postgres = Postgres(workspace / "hung")
    postgres.start()
    yield postgres
    postgres.close()


def test_a_stop_tells_the_senders_and_ends(server_options: Callable[..., Options], own_postgres: Postgres) -> None:
    server = Server(server_options(PYCHAT_DATABASE__URL=own_postgres.new_database()))
    try:
        alice = server.person()
        chat_id = alice.chat_with(alice)

        def send(client_id: str) -> str:
            body = {"text": "Hello", "client_id": client_id}
            answer = alice.request("POST", f"/v2/chats/{chat_id}/messages", json=body)
            assert answer.status_code == 503, answer.text
            assert "Retry-After" in answer.headers
            return str(answer.json()["code"])

        with own_postgres.frozen(), ThreadPoolExecutor(4) as threads:
            before = pending(server)
            sent = [threads.submit(send, client_id) for client_id in ("a", "b", "c", "a")]
            wait_until(lambda: pending(server) == before + len(sent), "the messages are under way")
            began = time.monotonic()
            server.terminate()
            told = {waiting.result() for waiting in sent}
            assert told <= {"outcome_unknown", "database_unavailable"}
            assert "outcome_unknown" in told
            assert server.exit_code() == 0
            assert time.monotonic() - began < STOP_WITHIN_SEC
    except BaseException:
        server.kill()
        raise


def pending(server: Server) -> int:
    found = server.monitor("GET", "/service/monitor?format=json&prefix=chat_journal.pending").json()
    return int(next(iter(found.values()))[0]["value"])
