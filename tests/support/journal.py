"""A core that takes messages of one person, and the journal behind it, in the test's own process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pychat._core import Core, Reply
from pychat.database.pool import Database
from pychat.dynconf.schemas import DynamicConfig, SendLimiter
from pychat.journal.writer import JournalWriter
from tests.support.server import SIGNING_KEY
from tests.support.tokens import signed

TOKEN = "Bearer " + signed(
    {"iss": "realtime-chat", "id": 1, "jti": "x", "iat": int(time.time()), "exp": int(time.time()) + 86_400, "gen": 0}
)


def new_core() -> Core:
    """With a user, 1, who is alone in the chat `pc:1`."""
    core = Core(signing_key=SIGNING_KEY.encode())
    DynamicConfig(send_limiter=SendLimiter(is_enabled=False)).apply(core)
    core.put_user(1, "ann", 0, 0, False)
    core.put_chat("pc:1", 7, [(1, True)])
    return core


async def start_writing(core: Core, database: Database) -> tuple[JournalWriter, asyncio.Task[None]]:
    """A writer, and what it runs in, to be cancelled."""
    writer = JournalWriter(core, database)
    await writer.open()
    return writer, asyncio.create_task(writer.run())


@asynccontextmanager
async def writing(core: Core, database: Database) -> AsyncIterator[JournalWriter]:
    writer, task = await start_writing(core, database)
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait([task])


async def post(core: Core, text: str, client_id: str | None = None) -> Reply:
    body = {"text": text} | ({"client_id": client_id} if client_id else {})
    return await core.post_message(TOKEN, "pc:1", json.dumps(body).encode())


def counted(core: Core, name: str) -> int:
    """A counter's value."""
    return next(value for metric, _, value in core.numbers() if metric == name)


def recorded(core: Core, name: str) -> int:
    """How many values a histogram has."""
    return next(sum(counts) for metric, _, _, counts, _ in core.histograms() if metric == name)
