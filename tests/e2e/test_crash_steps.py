"""Server or database are killed while a message stands between two certain steps of its way; `test_crashes` has the
steps that nobody can hold, and the load.

The database is made to wait at the step: the server waits for it, or is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.door import through_the_edge
from tests.support.postgres import Postgres, execute
from tests.support.server import Options, Server

pytestmark = through_the_edge

BODY = {"text": "Hello", "client_id": "a"}
LOCK = 42

# Where the journal's session then waits, by Postgres's names.
WAITS = {
    "between accept and write": "relation",
    "between write and commit": "advisory",
    "between commit and answer": "SyncRep",
}
_COMMITS_WAIT = """
    CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON message_claims DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait_for_the_test();
"""


@asynccontextmanager
async def held(url: str, step: str) -> AsyncIterator[None]:
    """Batches stop at that step for the duration of an `async with` block, which says when one has."""
    holder = await asyncpg.connect(url)
    try:
        match step:
            case "between accept and write":
                await holder.execute("BEGIN")
                await holder.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
            case "between write and commit":
                await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
            case "between commit and answer":
                # The commit is on the disk then, and waits for a standby that there is not.
                await holder.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
                await holder.execute("SELECT pg_reload_conf()")
                await until_commits_wait(url)
        yield
    finally:
        holder.terminate()
        if step == "between commit and answer":
            after = await connected_at_last(url)
            await after.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await after.execute("SELECT pg_reload_conf()")
            await after.close()


async def until_commits_wait(url: str) -> None:
    """The process that has commits wait reads the new setting in its own time."""
    session, onlooker = await asyncpg.connect(url), await asyncpg.connect(url)
    waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1"
    try:
        async with asyncio.timeout(30):
            while True:
                committing = asyncio.create_task(session.execute("SELECT pg_logical_emit_message(true, 'test', '')"))
                while not committing.done():
                    if await onlooker.fetchval(waits, session.get_server_pid()):
                        await onlooker.execute("SELECT pg_cancel_backend($1)", session.get_server_pid())
                        await committing
                        return
                await committing
    finally:
        session.terminate()
        onlooker.terminate()


async def connected_at_last(url: str) -> asyncpg.Connection:
    """Of a server that may just be starting again."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)


async def until_it_waits(url: str, step: str) -> None:
    onlooker = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(30):
            while WAITS[step] != await onlooker.fetchval(
                "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'pychat journal'"
            ):
                await asyncio.sleep(0.01)
    finally:
        onlooker.terminate()


async def answered_at_last(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """By a server whose connections to the database may be from before."""
    async with asyncio.timeout(60):
        while (answer := await client.request(method, path, **options)).status_code == 503:
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize("victim", ["server", "database"])
@pytest.mark.parametrize("step", WAITS)
async def test_a_message_is_there_once(
    server_options: Callable[..., Options], own_postgres: Postgres, step: str, victim: str
) -> None:
    options = server_options(PYCHAT_DATABASE__URL=own_postgres.new_database())
    url = options.environment["PYCHAT_DATABASE__URL"]
    server = await asyncio.to_thread(Server, options)
    try:
        alice = await asyncio.to_thread(server.person)
        chat_id = await asyncio.to_thread(alice.chat_with, alice)
        path, headers = f"/v2/chats/{chat_id}/messages", {"Authorization": f"Bearer {alice.token}"}
        execute(url, _COMMITS_WAIT)

        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            async with held(url, step):
                sending = asyncio.create_task(client.post(path, json=BODY, headers=headers))
                await until_it_waits(url, step)
                await asyncio.to_thread(server.kill if victim == "server" else own_postgres.kill)
            outcome = (await asyncio.gather(sending, return_exceptions=True))[0]
        if victim == "server":
            assert isinstance(outcome, httpx.TransportError), "nobody was there to answer"
            server = await asyncio.to_thread(Server, options)

        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            again = await answered_at_last(client, "POST", path, json=BODY, headers=headers)
            messages = (await answered_at_last(client, "GET", path, headers=headers)).json()["items"]
        assert [message["text"] for message in messages] == ["Hello"]
        assert again.json()["id"] == messages[0]["id"]
        # What a database has of a commit that it does not know to be over is gone with it, but not with the server.
        is_stored = step == "between commit and answer" or (victim, step) == ("server", "between write and commit")
        assert again.status_code == (200 if is_stored else 201), again.text
        if isinstance(outcome, httpx.Response) and outcome.status_code == 201:
            assert is_stored
            assert outcome.json()["id"] == again.json()["id"]
    except BaseException as error:
        error.add_note(server.log)
        raise
    finally:
        await asyncio.to_thread(server.kill)
