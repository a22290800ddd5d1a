"""The past of a chat in Postgres; the journal writes it.

Each statement names the chat by its public id, and gives no row at all to whoever is not in it. Names and client ids
are looked up one by one: a join would let the planner read a whole table where it misjudges a page's size.
"""

from asyncpg import Record

from pychat.database.pool import Database

_PAGE = """
    SELECT page.id, page.text,
        (SELECT username FROM users WHERE users.id = page.sender) AS sender,
        CASE WHEN page.sender = $2
            THEN (SELECT client_id FROM message_claims WHERE message_id = page.id) END AS client_id
    FROM chat_members AS member JOIN chats ON chats.id = member.chat_id
    LEFT JOIN LATERAL (
        SELECT id, sender, text FROM messages WHERE chat = chats.number AND {bound} ORDER BY {order} LIMIT $4
    ) AS page ON true
    WHERE member.chat_id = $1 AND member.user_id = $2
    ORDER BY {order}
"""
BEFORE = _PAGE.format(bound="id < $3", order="id DESC")
AFTER = _PAGE.format(bound="id > $3", order="id")


async def page_before(database: Database, chat_id: str, user_id: int, before: int, limit: int) -> list[Record] | None:
    """At most `limit` messages with ids below `before`, newest first; `None` where the user is not in that chat."""
    return _page(await database.fetch(BEFORE, chat_id, user_id, before, limit))


async def page_after(database: Database, chat_id: str, user_id: int, after: int, limit: int) -> list[Record] | None:
    """At most `limit` messages with ids above `after`, oldest first; `None` where the user is not in that chat."""
    return _page(await database.fetch(AFTER, chat_id, user_id, after, limit))


def _page(rows: list[Record]) -> list[Record] | None:
    # A member of an empty chat gets one row of nulls.
    return [row for row in rows if row["id"] is not None] if rows else None
