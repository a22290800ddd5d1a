"""What becomes of a request's body that the application does not read."""

from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from pychat.unread_bodies import MAX_TAKEN_BYTES, taking_unread_bodies

CHUNK = bytes(100_000)
START: Any = {"type": "http.response.start", "status": 404, "headers": [(b"a", b"b")]}


async def answered(
    headers: list[tuple[bytes, bytes]], *events: dict[str, Any]
) -> tuple[int, list[tuple[bytes, bytes]]]:
    """How many events an application that reads nothing has taken when its answer goes out, and with which headers."""
    taken = 0
    sent: list[tuple[int, list[tuple[bytes, bytes]]]] = []

    async def receive() -> Any:
        nonlocal taken
        taken += 1
        return events[taken - 1]

    async def send(message: Any) -> None:
        sent.append((taken, message["headers"]))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))  # type: ignore[arg-type] # of the right shape

    scope: Any = {"headers": headers}
    await taking_unread_bodies(refuse)(scope, receive, send)
    return sent[0]


@pytest.mark.parametrize("framing", [(b"content-length", b"300000"), (b"transfer-encoding", b"chunked")])
async def test_it_is_taken_before_the_answer(framing: tuple[bytes, bytes]) -> None:
    events = [{"type": "http.request", "body": CHUNK, "more_body": more} for more in (True, True, False)]
    assert await answered([framing], *events) == (3, START["headers"])


async def test_of_one_without_end_so_much_is_taken_and_the_connection_closes() -> None:
    events = [{"type": "http.request", "body": CHUNK, "more_body": True}] * 100
    taken, headers = await answered([(b"transfer-encoding", b"chunked")], *events)
    assert taken == MAX_TAKEN_BYTES // len(CHUNK) + 1
    assert (b"connection", b"close") in headers


async def test_a_client_that_leaves_amid_it_is_not_waited_for() -> None:
    assert await answered([(b"content-length", b"9")], {"type": "http.disconnect"}) == (1, START["headers"])


async def test_without_a_body_nothing_is_read() -> None:
    assert await answered([(b"host", b"x")]) == (0, START["headers"])
