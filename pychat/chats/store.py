"""Chats and their members in Postgres."""

from uuid import uuid4

from pychat.database.pool import Database


async def user_id_of(database: Database, username: str) -> int | None:
    """The id of a user that is not deleted."""
    user_id: int | None = await database.fetchval(
        "SELECT id FROM users WHERE username = $1 AND deleted_at IS NULL", username
    )
    return user_id


async def open_private(database: Database, one: int, other: int) -> tuple[str, bool]:
    """The id of the one private chat of two users, who may be the same, and whether it was opened just now."""
    low, high = sorted((one, other))
    async with database.transaction() as connection:
        # Of two who open it at once, the second waits here for the first to commit, and then finds its chat.
        chat_id: str | None = await connection.fetchval(
            """
            INSERT INTO chats (id, kind, pair_low, pair_high) VALUES ($1, 'private', $2, $3)
            ON CONFLICT (pair_low, pair_high) WHERE kind = 'private' DO NOTHING
            RETURNING id
            """,
            f"pc:{uuid4()}",
            low,
            high,
        )
        if chat_id is None:
            found: str = await connection.fetchval(
                "SELECT id FROM chats WHERE kind = 'private' AND pair_low = $1 AND pair_high = $2", low, high
            )
            return found, False
        await connection.executemany(
            "INSERT INTO chat_members (chat_id, user_id, role) VALUES ($1, $2, 'writer')",
            [(chat_id, user_id) for user_id in {low, high}],
        )
        return chat_id, True
