"""A hub full of people, without a server."""

import asyncio
from collections.abc import Iterable

from pychat._core import Core
from tests.support.tokens import signed


def token_of(core: Core, user_id: int) -> str:
    """One that is good now for a user of generation 0."""
    now = int(core.now())
    return signed({"iss": "realtime-chat", "id": user_id, "jti": "", "iat": now, "exp": now + 3600, "gen": 0})


def open_sessions(core: Core, user_ids: Iterable[int], each: int) -> None:
    """Makes these users known and opens sessions for all of them."""

    async def run() -> None:
        for user_id in user_ids:
            core.put_user(user_id, f"user{user_id}", 0, 0, False)
            authorization = f"Bearer {token_of(core, user_id)}"
            for _ in range(each):
                answer = await core.start(authorization)
                assert answer.status == 200, answer.body

    asyncio.run(run())
