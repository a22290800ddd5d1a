"""Bodies and parameters of version 2's user routes."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType


class FoundUser(Struct):
    username: str
    display_name: str


class UserList(Struct):
    """Those found by their username come first. A page may hold fewer than asked for though `next` is given."""

    items: list[FoundUser]
    next: str | None


class SearchQuery(Struct, forbid_unknown_fields=True):
    # No name has a NUL, and Postgres takes none.
    query: Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
    """The beginning of a username or display name, in any case of letters."""
    after: str | UnsetType = UNSET
    """The `next` of the page before."""
    limit: Annotated[int, Meta(ge=1, le=50)] = 20
