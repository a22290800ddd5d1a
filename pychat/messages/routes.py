"""`/v1/messages`: bytes in, `pychat._core`, bytes out. No JSON is touched here: these routes carry the load."""

import asyncio
from types import NoneType

from litestar import get, post
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

from pychat._core import Reply
from pychat.docs.doc import Doc
from pychat.errors import CHALLENGE
from pychat.messages.schemas import PollAnswer, SendToChatBody, SendToUserBody, SessionAnswer
from pychat.messages.schemas_v2 import DraftBody, PostedAnswer
from pychat.requests import MAX_V2_BODY_BYTES, AnyRequest, authorization, read_body
from pychat.services import services_of


@post(
    "/v1/messages/send",
    opt={
        "doc": Doc(
            bodies=(SendToChatBody, SendToUserBody),
            answers={202: NoneType},
            errors={
                403: "You may not post in this chat",
                404: "There is no such chat with you in it, or no such recipient",
                409: "The recipient is offline",
                429: "You are over your rate",
                503: "The database is away, or a session of the recipient is full",
            },
        )
    },
)
async def send_message(request: AnyRequest) -> ASGIApp:
    """Sends a message to the members of a chat, or to one recipient."""
    body = await read_body(request.receive)
    return _answer(await services_of(request.scope).core.send(authorization(request.scope), body))


@post(
    "/v2/chats/{chat_id:str}/messages",
    opt={
        "doc": Doc(
            bodies=(DraftBody,),
            answers={201: PostedAnswer, 200: PostedAnswer},
            errors={
                "may_not_post": "You may not post in this chat",
                "chat_not_found": "There is no such chat with you in it",
                "rate_limited": "You are over your rate",
                "journal_full": "Too many messages wait to be stored",
                "outcome_unknown": "The message may be stored or not; repeat it with its `client_id`",
            },
        )
    },
)
async def post_message(request: AnyRequest) -> ASGIApp:
    """Posts a message into a chat; answers when it is stored. With a `client_id` it may be repeated for 7 days: 200
    then has the first answer, and nobody gets it twice. A refusal speaks of its own request only: once an outcome was
    unknown, repeat the message with the same `client_id` until it is answered."""
    body = await read_body(request.receive, MAX_V2_BODY_BYTES)
    core = services_of(request.scope).core
    chat_id = request.scope["path_params"]["chat_id"]
    return _answer(await core.post_message(authorization(request.scope), chat_id, body))


@post(
    "/v1/messages/poll/start",
    opt={
        "doc": Doc(
            answers={200: SessionAnswer},
            errors={
                429: "You have as many sessions as allowed",
                503: "The database is away, or as many users as allowed are online",
            },
        )
    },
)
async def start_session(request: AnyRequest) -> ASGIApp:
    """Opens a session: what is sent to you from now on waits in it."""
    return _answer(await services_of(request.scope).core.start(authorization(request.scope)))


@get(
    # The last two name no session, as a malformed id does.
    ["/v1/messages/poll/{session_id:str}", "/v1/messages/poll", "/v1/messages/poll/start"],
    opt={
        "doc": Doc(
            answers={200: PollAnswer},
            errors={409: "This session is being polled already", 410: "You have no such session"},
        )
    },
)
async def poll_session() -> ASGIApp:
    """Takes the messages that wait in a session; where there are none, waits for some first."""
    return _poll


NOTICED_WITHIN_SEC = 0.01
"""For Granian to tell of a client that was gone before its poll was looked at.

Measured beside four busy loops on two cores: 2 ms miss 44 of 80, 5 ms 15, 10 ms one.
"""

# One header's spelling in ASGI; made once.
_CHALLENGE = [(name.encode(), value.encode()) for name, value in CHALLENGE.items()]


async def _poll(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    # The body is read, so all that can come now is the disconnect, and nobody else cancels a handler for that.
    gone = asyncio.ensure_future(receive())
    try:
        session_id = scope["path_params"].get("session_id", "")
        polled = services_of(scope).core.poll(authorization(scope), session_id)
        if asyncio.isfuture(polled):
            reply = await _unless(gone, polled)
        else:
            reply = await polled
            if reply.status == 200:
                await asyncio.wait([gone], timeout=NOTICED_WITHIN_SEC)
        if reply is not None and not gone.done():
            # Not before the client can be told: what it never began to receive stays first in line.
            reply.commit()
            await _answer(reply)(scope, receive, send)
    finally:
        gone.cancel()


async def _unless(gone: asyncio.Future[ReceiveMessage], polled: asyncio.Future[Reply]) -> Reply | None:
    """What was waited for; `None` where the client is gone."""
    # Cancelling the poll frees its session at once.
    gone.add_done_callback(lambda _: polled.cancel())
    try:
        return await polled
    except asyncio.CancelledError:
        if gone.done():
            return None
        raise


def _answer(reply: Reply) -> ASGIApp:
    body = reply.body
    headers = [(b"content-type", reply.media_type.encode()), (b"content-length", b"%d" % len(body))]
    if reply.status == 401:
        headers += _CHALLENGE
    if reply.retry_after is not None:
        headers.append((b"retry-after", b"%d" % reply.retry_after))

    async def write(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return write


handlers = [send_message, post_message, start_session, poll_session]
