"""Bodies and parameters of version 2's chat routes."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from pychat.messages.schemas_v2 import Message, MessageId


class NewChat(Struct, forbid_unknown_fields=True):
    type: Literal["private"]
    username: str


UnreadCount = Annotated[
    int,
    Meta(
        ge=0,
        le=1000,
        description="What others wrote behind one's read mark; 1,000 stands for more as well. Counted among the newest "
        "2,000 messages there, one's own included",
    ),
]


class Peer(Struct):
    """The other one of a private chat; oneself in a chat with oneself."""

    username: str
    display_name: str


class Chat(Struct):
    id: str
    type: Literal["private", "group", "channel"]
    title: str
    last_message: Message | None
    unread_count: UnreadCount
    read_up_to: MessageId | None
    """One's own read mark."""
    role: Literal["reader", "writer", "admin", "owner"]
    created_at: str
    peer: Peer | UnsetType = UNSET


class ChatList(Struct):
    """Newest activity first: the last message, else the creation."""

    items: list[Chat]
    next: str | None


class ChatsQuery(Struct, forbid_unknown_fields=True):
    after: str | UnsetType = UNSET
    """The `next` of the page before."""
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class ReadBody(Struct, forbid_unknown_fields=True):
    message_id: MessageId


class ReadAnswer(Struct):
    read_up_to: MessageId | None
    """`null` in a chat without messages."""
