"""Bodies of the chat routes."""

from msgspec import Struct


class PrivateChatBody(Struct):
    target_username: str


class ChatAnswer(Struct):
    chat_id: str
