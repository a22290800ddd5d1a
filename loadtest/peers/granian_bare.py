"""Granian answering without doing anything, for `make compare`: what a Python handler costs at least."""

from typing import Any


async def app(_scope: Any, protocol: Any) -> None:
    """An RSGI application that takes a body and answers as an accepted send does."""
    await protocol()
    protocol.response_bytes(202, [("content-type", "application/json")], b"null")
