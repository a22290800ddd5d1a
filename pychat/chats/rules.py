"""What the routes of a chat have in common."""

import re

from pychat.errors import Refused, problem
from pychat.requests import AnyRequest

_CHAT_ID = re.compile(r"(?:pc|gc|ch):[0-9a-f-]{36}")


def chat_in_path(request: AnyRequest) -> str:
    """The id of the chat that the path names.

    Raises:
        Refused: 404, no chat's id looks like that.
    """
    chat_id: str = request.path_params["chat_id"]
    if not _CHAT_ID.fullmatch(chat_id):
        raise chat_not_found()
    return chat_id


def too_many_chats() -> Refused:
    """In either form of the contract's errors."""
    return problem("too_many_chats", "One of the two is in as many chats as one may be")


def chat_not_found() -> Refused:
    """Also for those who are not in it."""
    return problem("chat_not_found", "There is no such chat with you in it")
