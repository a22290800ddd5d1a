"""`/v2/chats`: one's chats, and how far one has read in them."""

from typing import Annotated

from asyncpg import Record
from litestar import Response, get, post, put
from msgspec import UNSET, Meta, Struct

from pychat.chats import overview, store
from pychat.chats.rules import chat_in_path, chat_not_found, too_many_chats
from pychat.chats.schemas_v2 import Chat, ChatList, ChatsQuery, NewChat, Peer, ReadAnswer, ReadBody
from pychat.cursors import decode_cursor, encode_cursor
from pychat.docs.doc import Doc
from pychat.errors import problem
from pychat.messages.rules import HIGHEST_ID, number_of
from pychat.messages.schemas_v2 import Message
from pychat.requests import MAX_V2_BODY_BYTES, AnyRequest, RuleBroken, parse_fields, parse_query, read_body
from pychat.services import authenticate, services_of
from pychat.times import rfc3339, time_of
from pychat.users import rules

_Number = Annotated[int, Meta(ge=0, le=HIGHEST_ID)]


class _Position(Struct, array_like=True, forbid_unknown_fields=True):
    """Behind which chat a page begins."""

    activity: _Number
    number: _Number


@post(
    "/v2/chats",
    opt={
        "doc": Doc(
            bodies=(NewChat,),
            answers={201: Chat, 200: Chat},
            errors={
                "user_not_found": "There is no such user",
                "too_many_chats": "One of the two is in as many chats as one may be",
            },
        )
    },
)
async def open_chat(request: AnyRequest) -> Response[Chat]:
    """Opens the private chat with a user, oneself included; 200 where it was there before."""
    services = services_of(request.scope)
    body = await read_body(request.receive, MAX_V2_BODY_BYTES)
    caller = await authenticate(request.scope)
    username = parse_fields(body, NewChat, max_bytes=MAX_V2_BODY_BYTES).username
    try:
        peer = await store.user_id_of(services.database, rules.username(username))
    except RuleBroken:
        peer = None
    if peer is None:
        raise problem("user_not_found", "There is no such user")
    chat = await store.open_private(services.database, caller.user_id, peer, services.settings.chats.max_per_user)
    if chat is None:
        raise too_many_chats()
    if chat.is_new:
        services.core.put_chat(chat.id, chat.number, [(user_id, True) for user_id in {caller.user_id, peer}])
    row = await overview.one(services.database, caller.user_id, chat.id)
    assert row is not None
    return Response(_chat(row), status_code=201 if chat.is_new else 200)


@get("/v2/chats", opt={"doc": Doc(query=ChatsQuery, answers={200: ChatList})})
async def list_chats(request: AnyRequest) -> ChatList:
    """One's own chats. One that becomes active while one reads on moves to the beginning of the list."""
    services = services_of(request.scope)
    caller = await authenticate(request.scope)
    query = parse_query(request.scope, ChatsQuery)
    position = decode_cursor(query.after, _Position) or _Position(HIGHEST_ID, HIGHEST_ID)
    # One more than asked for tells whether there are more.
    rows = await overview.page(services.database, caller.user_id, position.activity, position.number, query.limit + 1)
    page = rows[: query.limit]
    following = None
    if len(rows) > len(page):
        following = encode_cursor(_Position(page[-1]["activity"], page[-1]["number"]))
    return ChatList([_chat(row) for row in page], following)


@put(
    "/v2/chats/{chat_id:str}/read",
    opt={
        "doc": Doc(
            bodies=(ReadBody,),
            answers={200: ReadAnswer},
            errors={"chat_not_found": "There is no such chat with you in it"},
        )
    },
)
async def mark_read(request: AnyRequest) -> ReadAnswer:
    """Moves one's read mark forward to a message, at most to the last one; it never moves back."""
    services = services_of(request.scope)
    body = await read_body(request.receive, MAX_V2_BODY_BYTES)
    caller = await authenticate(request.scope)
    message_id = number_of(parse_fields(body, ReadBody, max_bytes=MAX_V2_BODY_BYTES).message_id)
    mark = await overview.move_read_mark(services.database, chat_in_path(request), caller.user_id, message_id)
    if mark is None:
        raise chat_not_found()
    return ReadAnswer(_mark(mark))


def _chat(row: Record) -> Chat:
    return Chat(
        id=row["id"],
        type=row["kind"],
        title=row["peer_display_name"] or "",
        last_message=_last_message(row),
        unread_count=row["unread_count"],
        read_up_to=_mark(row["read_up_to"]),
        role=row["role"],
        created_at=rfc3339(row["created_at"]),
        peer=Peer(row["peer_username"], row["peer_display_name"]) if row["peer_username"] else UNSET,
    )


def _last_message(row: Record) -> Message | None:
    if row["last_id"] is None:
        return None
    return Message(
        id=str(row["last_id"]),
        chat_id=row["id"],
        sender=row["sender"],
        text=row["text"],
        sent_at=rfc3339(time_of(row["last_id"])),
        client_id=row["client_id"] or UNSET,
    )


def _mark(message_id: int) -> str | None:
    return str(message_id) if message_id else None


handlers = [open_chat, list_chats, mark_read]
