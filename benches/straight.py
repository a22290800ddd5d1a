"""Requests over kept-alive connections, to a TCP listener or a Unix socket."""

import asyncio
from urllib.parse import urlsplit

CONNECTIONS = 16


def get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(address: str, request: bytes, times: int) -> None:
    """Sends the request so many times to `http://host:port` or the path of a Unix socket; each must succeed."""
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_ask_over_one(address, request, times // CONNECTIONS))


async def _ask_over_one(address: str, request: bytes, times: int) -> None:
    if address.startswith("http"):
        listener = urlsplit(address)
        reader, writer = await asyncio.open_connection(listener.hostname, listener.port)
    else:
        reader, writer = await asyncio.open_unix_connection(address)
    for _ in range(times):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 20"), head
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
