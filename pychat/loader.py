"""Answers what requests ask of the directory and it does not hold: many questions, one trip to the database."""

import asyncio

import structlog

from pychat._core import Core, LoadBatch
from pychat.chats.store import open_private_chats
from pychat.database.pool import DatabaseUnavailable, Share

log = structlog.get_logger("pychat.loader")

RETRY_SEC = 0.1

# Two selects and not an OR: each takes its index.
_USERS = """
    SELECT id, username, revision, token_generation, deleted_at IS NOT NULL FROM users WHERE id = ANY($1::bigint[])
    UNION
    SELECT id, username, revision, token_generation, deleted_at IS NOT NULL FROM users WHERE username = ANY($2::text[])
"""
_MEMBERS = """
    SELECT id, number, array_agg(user_id) AS user_ids, array_agg(role <> 'reader') AS may_post
    FROM chats JOIN chat_members ON chat_id = id WHERE id = ANY($1::text[]) GROUP BY id
"""


async def run_loader(core: Core, database: Share, max_chats: int) -> None:
    """Serves the directory until cancelled. Nobody is put into more than `max_chats` chats."""
    while True:
        # Whatever fails, the next batch may well be in order: without a loader nobody could sign in any more.
        try:
            batch = await core.next_load()
        except Exception as failure:
            log.error("nothing can be loaded; trying again, restart the server if this goes on", exc_info=failure)
            await asyncio.sleep(RETRY_SEC)
            continue
        try:
            await _load(batch, database, max_chats)
        except DatabaseUnavailable:
            batch.fail()
        except Exception as failure:
            log.error("users and chats were not loaded; who needed them got 503", exc_info=failure)
            batch.fail()


async def _load(batch: LoadBatch, database: Share, max_chats: int) -> None:
    users, chats, private_chats = [], [], []
    if batch.user_ids or batch.usernames:
        users = [tuple(row) for row in await database.fetch(_USERS, batch.user_ids, batch.usernames)]
    if batch.chat_ids:
        chats = [
            (row["id"], row["number"], list(zip(row["user_ids"], row["may_post"], strict=True)))
            for row in await database.fetch(_MEMBERS, batch.chat_ids)
        ]
    if batch.pairs:
        opened = await open_private_chats(database, batch.pairs, max_chats)
        private_chats = [(pair, chat.number) for pair, chat in opened.items()]
    batch.resolve(users, chats, private_chats)
