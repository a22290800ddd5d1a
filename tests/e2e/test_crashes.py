"""Server and database are killed under load: what was answered is there, and nothing is there twice.

`PYCHAT_CRASH_ROUNDS` sets how often (twice by default); `make stress` does it 50 times.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tests.support.client import Person
from tests.support.flood import Connection
from tests.support.server import Options, Server
from tests.support.wait import wait_until

ROUNDS = int(os.environ.get("PYCHAT_CRASH_ROUNDS", "2"))
SENDERS = 8
LOAD_SEC = (0.1, 1.0)
NOT_STORED = {"database_unavailable", "journal_full", "stopping"}
"""Refusals that promise it; after `outcome_unknown`, or no answer at all, it may be there or not."""


@dataclass
class Sender:
    """Numbers its messages; every other one has a client id."""

    person: Person
    chat_id: str
    sent: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    async def send(self, url: str) -> None:
        """Sends until the connection breaks."""
        assert self.person.token
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with Connection(url, self.person.token) as connection:
                while True:
                    text = str(self.sent)
                    self.sent += 1
                    self.unknown.add(text)
                    await self._post(connection, text)

    async def repeat(self, url: str) -> None:
        """Sends again what has a client id and no answer, until all of it has one."""
        assert self.person.token
        async with Connection(url, self.person.token) as connection:
            while again := [text for text in self.unknown | self.refused if has_client_id(text)]:
                for text in again:
                    await self._post(connection, text)

    async def _post(self, connection: Connection, text: str) -> None:
        body = {"text": text} | ({"client_id": f"id {text}"} if has_client_id(text) else {})
        answer = await connection.request("POST", f"/v2/chats/{self.chat_id}/messages", body)
        if answer.status in (200, 201):
            self.answered[text] = answer.body["id"]
            self.unknown.discard(text)
            self.refused.discard(text)
        elif answer.body["code"] in NOT_STORED:
            self.unknown.discard(text)
            self.refused.add(text)
        else:
            assert answer.body["code"] == "outcome_unknown", answer

    def check(self, server: Server) -> None:
        stored = Counter[str]()
        ids: dict[str, str] = {}
        for message in history(Person(server.http, self.person.username, str(self.person.token)), self.chat_id):
            stored[message["text"]] += 1
            ids[message["text"]] = message["id"]
        assert not [text for text, count in stored.items() if count > 1], "stored twice"
        assert {text: ids.get(text) for text in self.answered} == self.answered, "answered, and not there"
        assert not self.refused & set(stored), "refused, and there"
        assert set(stored) <= set(self.answered) | self.unknown


def has_client_id(text: str) -> bool:
    return int(text) % 2 == 0


def history(person: Person, chat_id: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    position = ""
    while True:
        page = person.request("GET", f"/v2/chats/{chat_id}/messages?limit=200{position}").json()
        messages += page["items"]
        if page["next"] is None:
            return messages
        position = f"&before={page['next']}"


@pytest.fixture
def options(server_options: Callable[..., Options]) -> Options:
    """A server with a Postgres of its own, which flushes to the disk."""
    made = server_options({"SEND_LIMITER_CONFIG": {"is_enabled": False}})
    left_out = {"PYCHAT_DATABASE__URL", "PYCHAT_AUTH__SIGNING_KEY"}
    environment = {name: value for name, value in made.environment.items() if name not in left_out}
    return Options(made.folder, environment, made.dynamic_config)


def kill_postgres(server: Server) -> None:
    pid_file = server.options.folder / "data/postgres/postmaster.pid"
    killed = pid_file.read_text().splitlines()[0]
    os.kill(int(killed), signal.SIGKILL)
    # Until the other one runs, `ready` may be an answer from before.
    wait_until(lambda: pid_file.exists() and pid_file.read_text().splitlines()[:1] != [killed], "another Postgres runs")
    wait_until(server.is_ready, "the server is ready again")


@pytest.mark.timeout(240 + 30 * ROUNDS)
def test_what_was_answered_is_there_once(options: Options) -> None:
    server = Server(options)
    try:
        people = [server.person() for _ in range(SENDERS)]
        senders = [Sender(person, person.chat_with(people[0])) for person in people]
        for round_number in range(ROUNDS):
            # The server in one round, its database in the next.
            if round_number % 2 == 0:
                asyncio.run(under_load(senders, server.url, server.kill))
                server = Server(options)
            else:
                asyncio.run(under_load(senders, server.url, partial(kill_postgres, server)))
            asyncio.run(all_repeat(senders, server.url))
            for sender in senders:
                sender.check(server)
        assert all(sender.answered for sender in senders)
        server.stop()
    except BaseException:
        server.kill()
        raise


async def under_load(senders: list[Sender], url: str, kill: Callable[[], None]) -> None:
    """Kills at some moment while all senders send."""
    tasks = [asyncio.create_task(sender.send(url)) for sender in senders]
    await asyncio.sleep(random.uniform(*LOAD_SEC))
    await asyncio.to_thread(kill)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def all_repeat(senders: list[Sender], url: str) -> None:
    await asyncio.gather(*(sender.repeat(url) for sender in senders))
