"""1,000 sessions are polled while 100 senders send, and every message is counted."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.flood import Connection
from tests.support.server import Server

PEOPLE = 100
SESSIONS_EACH = 10
SENDS_EACH = 30

TEXTS = [f"message {number}" for number in range(SENDS_EACH)]


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(
        {
            "POLLING_CONFIG": {"polling_time_sec": 60},
            "SESSIONS_CONFIG": {"max_sessions_amount": SESSIONS_EACH},
            "SEND_LIMITER_CONFIG": {"is_enabled": False},
        }
    ) as started:
        yield started


async def listen(server: Server, person: Person, opened: asyncio.Event, count: int) -> dict[str, list[str]]:
    """Opens a session and polls it until `count` messages came; returns the texts of each sender in their order."""
    received: dict[str, list[str]] = defaultdict(list)
    async with Connection(server.url, str(person.token)) as connection:
        started = await connection.request("POST", "/v1/messages/poll/start")
        assert started.status == 200, started
        path = f"/v1/messages/poll/{started.body['session_id']}"
        opened.set()
        while (missing := count - sum(map(len, received.values()))) > 0:
            polled = await connection.request("GET", path)
            assert polled.status == 200, polled
            assert polled.body["messages"], f"{missing} messages are missing"
            assert not polled.body["resync_required"]
            for message in polled.body["messages"]:
                received[message["sender"]].append(message["text"])
    return received


async def send(server: Server, person: Person, chat_id: str) -> None:
    async with Connection(server.url, str(person.token)) as connection:
        for text in TEXTS:
            body = {"message": {"chat_id": chat_id, "payload": text}}
            answer = await connection.request("POST", "/v1/messages/send", body)
            assert answer.status == 202, answer


def test_every_message_is_counted(server: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        people = list(pool.map(lambda _: server.person(), range(PEOPLE)))
    # Everybody talks to the next one, in a ring, and so hears two people: the one before, and themselves.
    chats = [person.chat_with(people[(index + 1) % PEOPLE]) for index, person in enumerate(people)]

    async def talk() -> list[dict[str, list[str]]]:
        opened = [asyncio.Event() for _ in range(PEOPLE * SESSIONS_EACH)]
        async with asyncio.TaskGroup() as group:
            listeners = [
                group.create_task(listen(server, people[index % PEOPLE], event, 2 * SENDS_EACH))
                for index, event in enumerate(opened)
            ]
            for event in opened:
                await event.wait()
            for person, chat_id in zip(people, chats, strict=True):
                group.create_task(send(server, person, chat_id))
        return [listener.result() for listener in listeners]

    for index, received in enumerate(asyncio.run(talk())):
        me, before_me = people[index % PEOPLE], people[index % PEOPLE - 1]
        assert received == {me.username: TEXTS, before_me.username: TEXTS}
