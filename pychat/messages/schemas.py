"""Bodies of the message routes, for the OpenAPI description: `rust/api` reads and writes them."""

from msgspec import Struct


class ChatMessage(Struct):
    chat_id: str
    payload: str


class SendToChatBody(Struct):
    message: ChatMessage


class DirectMessage(Struct):
    recipient: str
    payload: str


class SendToUserBody(Struct):
    message: DirectMessage


class SessionAnswer(Struct):
    session_id: str


class DeliveredMessage(Struct):
    sender: str
    text: str


class PollAnswer(Struct):
    resync_required: bool
    messages: list[DeliveredMessage]
