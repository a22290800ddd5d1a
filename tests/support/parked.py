"""Polls that are under way, each on a connection of its own, so that a test can do something meanwhile."""

import http.client
import json
import resource
import select
import socket
import struct
from collections.abc import Sequence
from email.message import Message
from typing import Any

import httpx

ANSWER_WITHIN_SEC = 60


class OpenPoll:
    """One poll whose request is sent and whose answer has not been read."""

    def __init__(self, base_url: httpx.URL, token: str, session_id: str) -> None:
        self._connection = http.client.HTTPConnection(base_url.host, base_url.port, timeout=ANSWER_WITHIN_SEC)
        self._connection.request("GET", f"/v1/messages/poll/{session_id}", headers={"Authorization": f"Bearer {token}"})

    @property
    def socket(self) -> socket.socket:
        connected = self._connection.sock
        assert isinstance(connected, socket.socket)
        return connected

    def answer(self) -> tuple[int, Any]:
        """Waits for the answer: its status and its decoded body."""
        status, _, body = self.whole_answer()
        return status, body

    def whole_answer(self) -> tuple[int, Message, Any]:
        """As `answer`, with the headers."""
        try:
            with self._connection.getresponse() as response:
                return response.status, response.headers, json.loads(response.read())
        finally:
            self._connection.close()

    def leave(self) -> None:
        """Closes the connection, as a client does that was closed by its user."""
        self._connection.close()

    def vanish(self) -> None:
        """Resets the connection, as the system does for a client that was killed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


def raise_open_files_limit(needed: int) -> None:
    """Every poll is an open file, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def first_answered(polls: Sequence[OpenPoll]) -> OpenPoll:
    """Waits until the server begins to answer one of the polls."""
    readable, _, _ = select.select([poll.socket for poll in polls], [], [], ANSWER_WITHIN_SEC)
    assert readable, "none of the polls was answered"
    return next(poll for poll in polls if poll.socket is readable[0])
