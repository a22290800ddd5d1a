"""Accounts in Postgres. A deleted account keeps its row, and so its name."""

from asyncpg import Record, UniqueViolationError
from msgspec import UNSET, UnsetType

from pychat.database.pool import Database


class NameTaken(Exception):
    """Another account, present or deleted, has this username."""


async def insert(database: Database, username: str, password_hash: str, display_name: str, biography: str) -> Record:
    """A new account's `id`, `username`, `revision`, `token_generation`.

    Raises:
        NameTaken
    """
    try:
        row = await database.fetchrow(
            """
            INSERT INTO users (username, password_hash, display_name, biography) VALUES ($1, $2, $3, $4)
            RETURNING id, username, revision, token_generation
            """,
            username,
            password_hash,
            display_name,
            biography,
        )
    except UniqueViolationError:
        raise NameTaken from None
    assert row is not None
    return row


async def credentials(database: Database, username: str) -> Record | None:
    """`id`, `password_hash`, `token_generation`."""
    return await database.fetchrow(
        "SELECT id, password_hash, token_generation FROM users WHERE username = $1 AND deleted_at IS NULL", username
    )


async def profile(database: Database, username: str) -> Record | None:
    """`username`, `display_name`, `biography`."""
    return await database.fetchrow(
        "SELECT username, display_name, biography FROM users WHERE username = $1 AND deleted_at IS NULL", username
    )


async def update(
    database: Database,
    user_id: int,
    token_generation: int,
    *,
    username: str | UnsetType,
    password_hash: str | UnsetType,
    display_name: str | UnsetType,
    biography: str | UnsetType,
) -> Record | None:
    """Changes what is set; a new password ends the tokens issued so far.

    Returns `id`, `username`, `revision`, `token_generation` as they are now, `None` where the account is deleted or
    the caller's `token_generation` is no more the present one.

    Raises:
        NameTaken
    """
    values = [None if value is UNSET else value for value in (username, password_hash, display_name, biography)]
    try:
        return await database.fetchrow(
            """
            UPDATE users SET
                username = COALESCE($3, username),
                password_hash = COALESCE($4, password_hash),
                token_generation = token_generation + ($4::text IS NOT NULL)::int,
                display_name = COALESCE($5, display_name),
                biography = COALESCE($6, biography),
                revision = revision + 1
            WHERE id = $1 AND token_generation = $2 AND deleted_at IS NULL
            RETURNING id, username, revision, token_generation
            """,
            user_id,
            token_generation,
            *values,
        )
    except UniqueViolationError:
        raise NameTaken from None


async def delete(database: Database, user_id: int, token_generation: int) -> Record | None:
    """Deletes the account; returns as `update` does."""
    return await database.fetchrow(
        """
        UPDATE users SET deleted_at = now(), revision = revision + 1
        WHERE id = $1 AND token_generation = $2 AND deleted_at IS NULL
        RETURNING id, username, revision, token_generation
        """,
        user_id,
        token_generation,
    )
