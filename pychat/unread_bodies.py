"""Bodies that a handler does not want, or not all of."""

from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

MAX_TAKEN_BYTES = 1_000_000
"""How much of a body is taken from the wire. A client whose body is cut off may miss the answer, for its connection is
closed; so only what is far beyond every bound is cut off."""


def taking_unread_bodies(app: ASGIApp) -> ASGIApp:
    """`app`, but that an answer waits for what was left of the request's body: a connection with an unread body serves
    no further request, and whoever still writes when it closes, as the edge may, never sees the answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not _has_body(scope):
            await app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and not await body.take():
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, body.receive, send_after_body)

    return answer


class _Body:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._is_over = False

    async def receive(self) -> HTTPReceiveMessage:
        event: HTTPReceiveMessage = await self._receive()  # type: ignore[assignment] # no websockets here
        if event["type"] == "http.request":
            self._size += len(event.get("body", b""))
            self._is_over = not event.get("more_body")
        else:
            self._is_over = True
        return event

    async def take(self) -> bool:
        """Reads on; whether the body came to its end."""
        while not self._is_over and self._size <= MAX_TAKEN_BYTES:
            await self.receive()
        return self._is_over


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
