"""The opaque `next` of a list: where its following page begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pychat.errors import problem

T = TypeVar("T", bound=Struct)

LONGEST_CURSOR = 512


def encode_cursor(position: Struct) -> str:
    """`position` as text that fits a URL."""
    return urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str | UnsetType, shape: type[T]) -> T | None:
    """The position that the parameter `after` was made of; `None` where it is not given.

    Raises:
        Refused: 400, it was not made by `encode_cursor`.
    """
    if cursor is UNSET:
        return None
    if len(cursor) <= LONGEST_CURSOR:
        try:
            position = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=shape)
        except (ValueError, RecursionError):
            pass
        else:
            # The decoder skips what is no base64; nothing of it may be there.
            if encode_cursor(position) == cursor:
                return position
    reason = "This was not given as the next of this list"
    raise problem("validation_failed", "The query string has invalid parameters", {"after": [reason]})
