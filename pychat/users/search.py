"""Finding users by the beginning of a name: two ranges of two indexes, one after the other.

First come those whose username begins so, by username, then the others by display name. So a page costs what is on it,
however many there are.
"""

from typing import Annotated

from asyncpg import Record
from msgspec import Meta, Struct

from pychat.database.pool import Database

BEYOND = "\U0010ffff" * 51
"""Behind a beginning, this is behind every name that begins so: display names have 50 characters."""

BY_USERNAME = """
    SELECT username, display_name FROM users
    WHERE deleted_at IS NULL
        AND username COLLATE "C" >= lower($1) AND username COLLATE "C" < lower($1) || $2
        AND username COLLATE "C" > $3
    ORDER BY username COLLATE "C" LIMIT $4
"""
BY_DISPLAY_NAME = """
    SELECT username, display_name, lower(display_name) AS lower_name,
        username COLLATE "C" >= lower($1) AND username COLLATE "C" < lower($1) || $2 AS is_known
    FROM users
    WHERE deleted_at IS NULL
        AND lower(display_name) COLLATE "C" >= lower($1) AND lower(display_name) COLLATE "C" < lower($1) || $2
        AND (lower(display_name) COLLATE "C", username COLLATE "C") > ($3, $4)
    ORDER BY lower(display_name) COLLATE "C", username COLLATE "C" LIMIT $5
"""

_Name = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")]


class Position(Struct, array_like=True, forbid_unknown_fields=True):
    """The user behind whom a page begins: among the usernames or, where `lower_name` is set, the display names."""

    username: _Name
    lower_name: _Name | None = None


async def find(
    database: Database, beginning: str, after: Position | None, limit: int
) -> tuple[list[Record], Position | None]:
    """At most `limit` users (`username`, `display_name`), and where to go on, if there may be more."""
    found: list[Record] = []
    if after is None or after.lower_name is None:
        username = after.username if after else ""
        found = await database.fetch(BY_USERNAME, beginning, BEYOND, username, limit + 1)
        if len(found) > limit:
            del found[limit:]
            return found, Position(found[-1]["username"])
        after = Position("", "")
    # Enough to fill the page whoever of them is on it already, and to see whether more come.
    rows = await database.fetch(BY_DISPLAY_NAME, beginning, BEYOND, after.lower_name, after.username, limit + 1)
    for row in rows:
        if len(found) == limit:
            return found, after
        after = Position(row["username"], row["lower_name"])
        if not row["is_known"]:
            found.append(row)
    return found, after if len(rows) > limit else None
