"""Bodies and parameters of version 2's message routes."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

MessageId = Annotated[
    str, Meta(pattern="^[0-9]{1,19}$", description="The id of a message", examples=["1764021907123456"])
]
"""Decimal digits; later messages have higher ones."""


class Message(Struct):
    id: MessageId
    chat_id: str
    sender: str
    """The name as it is now."""
    text: str
    sent_at: str
    client_id: str | UnsetType = UNSET
    """Of the caller's own messages, while the server keeps it."""


class HistoryQuery(Struct, forbid_unknown_fields=True):
    """Neither `before` nor `after`: the newest."""

    before: MessageId | UnsetType = UNSET
    after: MessageId | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class MessageList(Struct):
    """Oldest first. `next` is for the same parameter that was used, `before` where none was. It alone tells whether
    there are more: a page of long texts has fewer than `limit`."""

    items: list[Message]
    next: str | None


class DraftBody(Struct, forbid_unknown_fields=True):
    text: str
    client_id: str | UnsetType = UNSET


class PostedAnswer(Struct):
    id: str
    sent_at: str
