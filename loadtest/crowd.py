"""People online by the hundred thousand, to whom nobody writes: what a send must not cost more for.

Registering each would take minutes of Argon2, so their rows are made in the database and their tokens with the
server's key; their sessions are opened through the API like anybody's.
"""

import asyncio
import socket
import time
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from pychat.users.tokens import issue

AT_ONCE: Final = 200  # requests on their way over the one connection
OPENED: Final = b"HTTP/1.1 200"


def bring_online(database_url: str, server_url: str, signing_key: str, count: int) -> None:
    """Opens a session for each of `count` new people.

    Raises:
        RuntimeError: the server refused one.
    """
    ids = asyncio.run(_insert(database_url, count))
    now = time.time()
    tokens = [issue(user_id, 0, key=signing_key.encode(), now=now, lifetime_sec=86_400) for user_id in ids]
    address = urlsplit(server_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        for begin in range(0, count, AT_ONCE):
            some = tokens[begin : begin + AT_ONCE]
            connection.sendall(b"".join(_start(address.netloc, token) for token in some))
            _take_answers(connection, len(some))


async def _insert(database_url: str, count: int) -> list[int]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            """
            INSERT INTO users (username, display_name, password_hash)
            SELECT 'crowd' || before || '-' || number, 'Somebody', ''
            FROM (SELECT count(*) AS before FROM users) AS users, generate_series(1, $1) AS number
            RETURNING id
            """,
            count,
            timeout=120,
        )
    finally:
        await connection.close()
    return [row["id"] for row in rows]


def _start(host: str, token: str) -> bytes:
    head = f"POST /v1/messages/poll/start HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Length: 0\r\n\r\n".encode()


def _take_answers(connection: socket.socket, count: int) -> None:
    # Every answer has one status line and one session id; the bodies are all alike in length.
    received = b""
    while received.count(b'"}') < count:
        some = connection.recv(1 << 16)
        if not some:
            raise RuntimeError("the server hung up")
        received += some
        if received.count(b"HTTP/1.1 ") != received.count(OPENED):
            raise RuntimeError(f"the server refused a session: {received[-500:].decode(errors='replace')}")
