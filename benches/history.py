"""What a page of a chat's past costs, and the list of one's chats, while the history grows from one to ten million.

A thousand chats have their messages spread over a year of weekly partitions, so that the rows of a page lie far apart.
One client asks for random pages of random chats, one after the other, through the edge. Each figure at ten million is
put beside the same at one million. The guard measures the same in small.
"""

import http.client
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from benches.figures import Figure
from tests.support.client import Person
from tests.support.folder import servers_folder
from tests.support.postgres import Postgres, execute
from tests.support.server import Options, Server, running

WEEKS = 52

WEEK = 7 * 86_400 * 1_000_000
END = (time.time_ns() // 1_000 // WEEK - 8) * WEEK  # well before the partitions that the server itself makes
BEGIN = END - WEEKS * WEEK
MIDDLE = (BEGIN + WEEK, END - WEEK)
"""Where a page is full in either direction."""

TEXT = "A message of about a hundred characters is what people write to each other, more or less, day by day."


@dataclass(frozen=True)
class Past:
    messages: int
    chats: int
    requests: int  # for pages of each kind
    lists: int


LONG = Past(10_000_000, chats=1_000, requests=2_000, lists=200)
# As long a past of each chat.
SHORT = Past(400_000, chats=40, requests=300, lists=10)


def measure(past: Past = LONG) -> list[Figure]:
    random.seed(1)
    with servers_folder() as folder:
        postgres = Postgres(folder / "postgres")
        postgres.start()
        try:
            url = postgres.new_database()
            with running(Options(folder, {"PYCHAT_DATABASE__URL": url}, {})) as server:
                # Pages, and a list of all chats; a list of half as many.
                reader, half = server.person(), server.person()
                make_chats(past, server, reader, half)
                fill(past, url, "n % 10 = 0")
                before = latencies(past, server, reader, half)
                fill(past, url, "n % 10 <> 0")
                after = latencies(past, server, reader, half)
        finally:
            postgres.close()
    most, few = f"{past.messages:,}", f"{past.messages // 10:,}"
    return [Figure(f"{name}, {most} messages", after[name], "ms", few, before[name]) for name in after]


def measure_short() -> list[Figure]:
    """In seconds, and only what is steady then: the medians of the pages."""
    return [figure for figure in measure(SHORT) if ", p50" in figure.name and "chats" not in figure.name]


def make_chats(past: Past, server: Server, reader: Person, half: Person) -> None:
    url = server.database_url
    for statement in [
        f"""
        INSERT INTO users (username, display_name, password_hash)
        SELECT 'friend' || n, 'Friend ' || n, '' FROM generate_series(1, {past.chats}) n
        """,
        f"""
        INSERT INTO chats (id, kind, pair_low, pair_high)
        SELECT 'pc:' || gen_random_uuid(), 'private', {reader.user_id}, id FROM users WHERE username LIKE 'friend%'
        """,
        """
        INSERT INTO chat_members (chat_id, user_id, role)
        SELECT id, unnest(ARRAY[pair_low, pair_high]), 'writer' FROM chats
        """,
        f"""
        INSERT INTO chat_members (chat_id, user_id, role)
        SELECT id, {half.user_id}, 'writer' FROM chats ORDER BY number LIMIT {past.chats // 2}
        """,
        *[
            f"""
            CREATE TABLE messages_of_week_{week} PARTITION OF messages
            FOR VALUES FROM ({BEGIN + week * WEEK}) TO ({BEGIN + (week + 1) * WEEK})
            """
            for week in range(WEEKS)
        ],
    ]:
        execute(url, statement)


def fill(past: Past, url: str, which: str) -> None:
    """Every chat gets its share of the messages, in turn; they are of either of the two."""
    step = (END - BEGIN) // past.messages
    execute(
        url,
        f"""
        INSERT INTO messages (id, chat, sender, text)
        SELECT {BEGIN} + n * {step}::bigint, number, CASE WHEN n % 2 = 0 THEN pair_low ELSE pair_high END, $1
        FROM generate_series(0, {past.messages - 1}) n
        JOIN (SELECT row_number() OVER (ORDER BY number) - 1 AS turn, * FROM chats) chat ON turn = n / 10 % {past.chats}
        WHERE {which}
        """,
        TEXT,
    )
    execute(url, "VACUUM ANALYZE")
    # Else the fill would be written out during the measurement: by Postgres, and, since that does not flush here, by
    # the system half a minute later.
    execute(url, "CHECKPOINT")
    os.sync()


def latencies(past: Past, server: Server, reader: Person, half: Person) -> dict[str, float]:
    """Milliseconds by name."""
    chats = [chat["id"] for chat in everything(reader)]
    ask = client(server, reader)

    def newest() -> None:
        ask(f"/v2/chats/{random.choice(chats)}/messages")

    def earlier() -> None:
        ask(f"/v2/chats/{random.choice(chats)}/messages?before={random.randint(*MIDDLE)}")

    def later() -> None:
        ask(f"/v2/chats/{random.choice(chats)}/messages?after={random.randint(*MIDDLE)}")

    ask_half = client(server, half)
    found: dict[str, float] = {}
    for name, request in [("newest 50", newest), ("50 before", earlier), ("50 after", later)]:
        found |= percentiles(name, request, past.requests)
    some, every = (f"{count} chats, {min(count, 50)} of them" for count in (past.chats // 2, past.chats))
    found |= percentiles(f"{some}, all unread", lambda: ask_half("/v2/chats"), past.lists)
    execute(server.database_url, f"UPDATE chat_members SET read_up_to = {END}")
    found |= percentiles(f"{some}, all read", lambda: ask_half("/v2/chats"), past.lists)
    found |= percentiles(f"{every}, all read", lambda: ask("/v2/chats"), past.lists)
    execute(server.database_url, "UPDATE chat_members SET read_up_to = 0")
    return found


def everything(reader: Person) -> list[dict[str, str]]:
    """All chats, page by page."""
    chats: list[dict[str, str]] = []
    following = ""
    while True:
        page = reader.request("GET", f"/v2/chats?limit=100{following}").json()
        chats += page["items"]
        if page["next"] is None:
            return chats
        following = f"&after={page['next']}"


def client(server: Server, person: Person) -> Callable[[str], None]:
    """Asks for a path on one connection, and reads the answer to its end."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def ask(path: str) -> None:
        connection.request("GET", path, headers={"Authorization": f"Bearer {person.token}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        assert json.loads(body)["items"]

    return ask


def percentiles(name: str, request: Callable[[], None], count: int) -> dict[str, float]:
    for _ in range(count // 10):
        request()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        request()
        taken.append((time.perf_counter() - began) * 1e3)
    return {f"{name}, p50": statistics.median(taken), f"{name}, p99": statistics.quantiles(taken, n=100)[98]}
