"""What one call into the Rust core costs from Python: the crossing alone, a send, a poll. No HTTP, no loop.

Each send goes to a chat whose other member is online with one session; each poll finds one message and commits it.
Tokens are judged; the limiter is off.
"""

import json
from collections.abc import Awaitable, Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pychat._core import Core, Reply
from pychat.dynconf.schemas import DynamicConfig, Polling, Queue, SendLimiter
from pychat.users import tokens

OPERATIONS = 500
ROUNDS = 100
KEY = b"k" * 32
SENDER, READER, CHAT = 1, 2, "0f8fad5b-d9cb-469f-a165-70867728950e"
BODY = json.dumps({"message": {"chat_id": CHAT, "payload": "Hello there, how are you?"}}).encode()
CONFIG = DynamicConfig(
    send_limiter=SendLimiter(is_enabled=False),
    polling=Polling(max_size=1),
    queue=Queue(max_queue_size=OPERATIONS),
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

    def ask_the_time(self) -> None:
        for _ in range(OPERATIONS):
            self.core.now()


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


def measure(benchmark: BenchmarkFixture, work: Callable[[], None], setup: Callable[[], None] | None = None) -> None:
    benchmark.extra_info.update(operations=OPERATIONS)
    benchmark.pedantic(work, setup=setup, rounds=ROUNDS)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types


def test_core_now(benchmark: BenchmarkFixture, conversation: Conversation) -> None:
    """The crossing and a look at the clock."""
    measure(benchmark, conversation.ask_the_time)


def test_core_send(benchmark: BenchmarkFixture, conversation: Conversation) -> None:
    conversation.send()
    measure(benchmark, conversation.send, setup=conversation.poll)


def test_core_poll(benchmark: BenchmarkFixture, conversation: Conversation) -> None:
    measure(benchmark, conversation.poll, setup=conversation.send)
