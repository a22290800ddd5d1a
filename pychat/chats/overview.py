"""A user's chats in Postgres: what was said last in each, and how much of it is unread."""

from asyncpg import Record

from pychat.database.pool import Database

MAX_UNREAD = 1_000
"""Unread messages are counted up to here, and no further ones are looked at."""

_LOOKED_AT = 2 * MAX_UNREAD
"""Messages behind the read mark that are looked at, the newest: one's own among them do not count, and nobody can make
the count cost more by writing to himself."""

# Of every chat only the last message's id, from an index; the rest of those on the page. All is looked up chat by chat
# (LIMIT 1 keeps it so): a join would let the planner read whole tables where it misjudges a page's size.
_CHATS = f"""
    SELECT chat.*, last.text,
        (SELECT username FROM users WHERE users.id = last.sender) AS sender,
        CASE WHEN last.sender = $1
            THEN (SELECT client_id FROM message_claims WHERE message_id = chat.last_id) END AS client_id,
        peer.username AS peer_username, peer.display_name AS peer_display_name,
        (
            SELECT count(*) FROM (
                SELECT FROM (
                    SELECT sender FROM messages WHERE chat = chat.number AND id > chat.read_up_to
                    ORDER BY id DESC LIMIT {_LOOKED_AT}
                ) AS unseen
                WHERE sender <> $1 LIMIT {MAX_UNREAD}
            ) AS unread
        ) AS unread_count
    FROM ({{chats}}) AS chat
    LEFT JOIN LATERAL (
        SELECT sender, text FROM messages WHERE chat = chat.number AND id = chat.last_id LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (SELECT username, display_name FROM users WHERE users.id = chat.peer_id LIMIT 1) AS peer ON true
    ORDER BY activity DESC, number DESC
"""
_MINE = """
    SELECT chats.id, number, kind, role, read_up_to, chats.created_at, newest.id AS last_id,
        CASE WHEN pair_low = $1 THEN pair_high ELSE pair_low END AS peer_id,
        COALESCE(newest.id, (extract(epoch FROM chats.created_at) * 1000000)::bigint) AS activity
    FROM chat_members AS member
    JOIN LATERAL (SELECT * FROM chats WHERE chats.id = member.chat_id LIMIT 1) AS chats ON true
    LEFT JOIN LATERAL (SELECT id FROM messages WHERE chat = number ORDER BY id DESC LIMIT 1) AS newest ON true
    WHERE member.user_id = $1
"""
PAGE = _CHATS.format(
    chats=f"""
    SELECT * FROM ({_MINE}) AS mine WHERE (activity, number) < ($2, $3) ORDER BY activity DESC, number DESC LIMIT $4
    """
)
ONE = _CHATS.format(chats=f"{_MINE} AND member.chat_id = $2")

MOVE_MARK = """
    UPDATE chat_members AS member SET read_up_to = mark
    FROM chats, LATERAL (
        SELECT LEAST(id, $3) AS mark FROM messages WHERE chat = chats.number ORDER BY messages.id DESC LIMIT 1
    ) AS newest
    WHERE chats.id = $1 AND member.chat_id = chats.id AND user_id = $2 AND read_up_to < mark
    RETURNING read_up_to
"""
MARK = "SELECT read_up_to FROM chat_members WHERE chat_id = $1 AND user_id = $2"


async def page(database: Database, user_id: int, activity: int, number: int, limit: int) -> list[Record]:
    """At most `limit` of the user's chats behind that position, newest activity first."""
    return await database.fetch(PAGE, user_id, activity, number, limit)


async def one(database: Database, user_id: int, chat_id: str) -> Record | None:
    """As `page`, of one chat; `None` where the user is not in it."""
    return await database.fetchrow(ONE, user_id, chat_id)


async def move_read_mark(database: Database, chat_id: str, user_id: int, message_id: int) -> int | None:
    """Moves the mark forward to `message_id`, at most to the last message; where it then is (0: nothing read), `None`
    where the user is not in that chat."""
    mark: int | None = await database.fetchval(MOVE_MARK, chat_id, user_id, message_id)
    if mark is None:
        mark = await database.fetchval(MARK, chat_id, user_id)
    return mark
