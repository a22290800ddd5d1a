"""`/v2/chats/{chat_id}/messages`: the past of a chat."""

from asyncpg import Record
from litestar import get
from msgspec import UNSET

from pychat.chats.rules import chat_in_path, chat_not_found
from pychat.docs.doc import Doc
from pychat.errors import problem
from pychat.messages import store
from pychat.messages.rules import HIGHEST_ID, number_of, page_of
from pychat.messages.schemas_v2 import HistoryQuery, Message, MessageList
from pychat.requests import AnyRequest, parse_query
from pychat.services import authenticate, services_of
from pychat.times import rfc3339, time_of


@get(
    "/v2/chats/{chat_id:str}/messages",
    opt={
        "doc": Doc(
            query=HistoryQuery,
            answers={200: MessageList},
            errors={"chat_not_found": "There is no such chat with you in it"},
        )
    },
)
async def list_messages(request: AnyRequest) -> MessageList:
    """A page of a chat's past: the newest messages, those before one, or those after one."""
    database = services_of(request.scope).database
    caller = await authenticate(request.scope)
    query = parse_query(request.scope, HistoryQuery)
    chat_id = chat_in_path(request)
    # One more than asked for tells whether there are more.
    if query.after is UNSET:
        before = HIGHEST_ID if query.before is UNSET else number_of(query.before)
        rows = await store.page_before(database, chat_id, caller.user_id, before, query.limit + 1)
    elif query.before is UNSET:
        rows = await store.page_after(database, chat_id, caller.user_id, number_of(query.after), query.limit + 1)
    else:
        reasons = ["Either before or after can be given"]
        raise problem("validation_failed", "The query string is contradictory", {"before": reasons, "after": reasons})
    if rows is None:
        raise chat_not_found()
    page = page_of(rows, query.limit)
    following = str(page[-1]["id"]) if len(rows) > len(page) else None
    if query.after is UNSET:
        page.reverse()
    return MessageList([_message(row, chat_id) for row in page], following)


def _message(row: Record, chat_id: str) -> Message:
    sent_at = rfc3339(time_of(row["id"]))
    return Message(str(row["id"]), chat_id, row["sender"], row["text"], sent_at, row["client_id"] or UNSET)


handlers = [list_messages]
