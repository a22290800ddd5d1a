"""What one call into the Rust core costs from Python: a send, a poll. No HTTP, no loop.

Each send goes to a chat whose other member is online with one session; each poll finds one message and commits it.
Tokens are judged; the limiter is off. Beside them the least that one would write in Python for the same.
"""

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable

import jwt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pychat._core import Core, Reply
from pychat.dynconf.schemas import DynamicConfig, History, Polling, Queue, SendLimiter
from pychat.users import tokens

OPERATIONS = 100
ROUNDS = 500
KEY = b"k" * 32
SENDER, READER, CHAT = 1, 2, "0f8fad5b-d9cb-469f-a165-70867728950e"
BODY = json.dumps({"message": {"chat_id": CHAT, "payload": "Hello there, how are you?"}}).encode()
CONFIG = DynamicConfig(
    send_limiter=SendLimiter(is_enabled=False),
    polling=Polling(max_size=1),
    queue=Queue(max_queue_size=OPERATIONS),
    history=History(is_enabled=False),
)


def finished(awaitable: Awaitable[Reply]) -> Reply:
    """The result of an awaitable that has nothing to wait for."""
    try:
        next(awaitable.__await__())
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply
    raise AssertionError("it waits for something")


class Conversation:
    def __init__(self) -> None:
        self.core = Core(signing_key=KEY)
        CONFIG.apply(self.core)
        now = self.core.now()
        headers = []
        for user in (SENDER, READER):
            self.core.put_user(user, f"user-{user}", 1, 0, False)
            headers.append("Bearer " + tokens.issue(user, 0, key=KEY, now=now, lifetime_sec=3600))
        self.sender, self.reader = headers
        self.core.put_chat(CHAT, 1, [(SENDER, True), (READER, True)])
        self.session: str = json.loads(finished(self.core.start(self.reader)).body)["session_id"]

    def send(self) -> None:
        for _ in range(OPERATIONS):
            reply = finished(self.core.send(self.sender, BODY))
        assert reply.status == 202, reply.body

    def poll(self) -> None:
        for _ in range(OPERATIONS):
            reply = finished(self.core.poll(self.reader, self.session))
            reply.commit()
        assert len(json.loads(reply.body)["messages"]) == 1, reply.body


class PlainConversation:
    """A dict of chats and a queue a member; without limits, refusals, sessions or anybody to wake."""

    def __init__(self) -> None:
        self.sender, self.reader = (
            tokens.issue(user, 0, key=KEY, now=time.time(), lifetime_sec=3600) for user in (SENDER, READER)
        )
        self.chats = {CHAT: (SENDER, READER)}
        self.queues: dict[int, deque[dict[str, str]]] = {READER: deque()}

    def send(self) -> None:
        for _ in range(OPERATIONS):
            user = self.judge(self.sender)
            message = json.loads(BODY)["message"]
            text = message["payload"].strip()
            assert 0 < len(text) <= 4_096
            for member in self.chats[message["chat_id"]]:
                if member in self.queues:
                    self.queues[member].append({"sender": f"user-{user}", "text": text})

    def poll(self) -> None:
        for _ in range(OPERATIONS):
            messages = [self.queues[self.judge(self.reader)].popleft()]
            json.dumps({"resync_required": False, "messages": messages}).encode()

    def judge(self, token: str) -> int:
        user: int = jwt.decode(token, KEY, algorithms=["HS256"], issuer=tokens.ISSUER)["id"]
        return user


SIDES = pytest.mark.parametrize(
    "conversation", [Conversation, PlainConversation], ids=["pychat", "usual"], indirect=True
)


@pytest.fixture
def conversation(request: pytest.FixtureRequest) -> Conversation | PlainConversation:
    made: Conversation | PlainConversation = request.param()
    return made


def measure(benchmark: BenchmarkFixture, work: Callable[[], None], setup: Callable[[], None] | None = None) -> None:
    benchmark.extra_info.update(operations=OPERATIONS, against="PyJWT, json, deque")
    benchmark.pedantic(work, setup=setup, rounds=ROUNDS)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types


@SIDES
def test_core_send(benchmark: BenchmarkFixture, conversation: Conversation | PlainConversation) -> None:
    conversation.send()
    measure(benchmark, conversation.send, setup=conversation.poll)


@SIDES
def test_core_poll(benchmark: BenchmarkFixture, conversation: Conversation | PlainConversation) -> None:
    measure(benchmark, conversation.poll, setup=conversation.send)
