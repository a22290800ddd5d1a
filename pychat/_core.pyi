"""The Rust side of pychat: the hub, the directory and what the hot routes mean.

Everything here may be called from any thread. Methods that return an `Awaitable` must be awaited on a running
asyncio loop; where nothing has to be waited for, the awaitable is already finished and costs no trip through the loop.
"""

from collections.abc import Awaitable, Sequence
from typing import final

from pychat.structures import Full as Full
from pychat.structures import MpscQueue as MpscQueue
from pychat.structures import RcuMap as RcuMap
from pychat.structures import ShardedMap as ShardedMap

__all__ = [
    "ApiError",
    "Batch",
    "Core",
    "Edge",
    "Full",
    "Identity",
    "Journal",
    "LoadBatch",
    "MpscQueue",
    "RcuMap",
    "Repeats",
    "Reply",
    "Requests",
    "ShardedMap",
    "__version__",
    "end_along",
    "end_at_second_signal",
    "give_way",
    "open_files",
    "release_memory",
]

__version__: str

def release_memory() -> None:
    """Gives the system back what the allocator keeps of freed memory. Releases the GIL; takes some milliseconds for
    100 MB, during which threads that allocate may wait."""

def give_way() -> None:
    """Has the calling thread, which computes for milliseconds on end, step back for all others: it is interrupted when
    one of them has something to do, and gets a tenth of a core where cores are short.

    Raises:
        OSError: the system does not let it.
    """

def end_at_second_signal() -> None:
    """Has a second SIGTERM or SIGINT end the process at once, with 128 and its number for the exit code, whatever the
    interpreter is at. The first is left to the handlers that Python has for them by now; those set later replace this.

    Raises:
        OSError: Python has none.
    """

def end_along(group: int, number: int) -> None:
    """Has a process group get the signal `number` when a second signal ends the process; 0 for none."""

def open_files() -> int:
    """How many files the process has open, connections included. Counts them with the GIL released.

    Raises:
        OSError: there is no `/proc`.
    """

class ApiError(Exception):
    """A request refused by the core; the error table turns it into the HTTP answer as it stands."""

    reply: Reply
    """Version 1's."""
    problem: Reply
    """Version 2's."""

@final
class Reply:
    """What a hot route answers.

    A poll's reply holds the messages it carries: they leave the session's queue when `commit` is called, and stay
    first in line for the next poll when the reply is dropped without it.
    """

    @property
    def status(self) -> int: ...
    @property
    def media_type(self) -> str: ...
    @property
    def body(self) -> bytes:
        """The JSON body, complete."""
    @property
    def retry_after(self) -> int | None:
        """Seconds for the `Retry-After` header; set on every 429 and 503, and where a stop ended a poll."""
    def commit(self) -> None:
        """Says that the transport begins to write this reply. Call it once, with nothing awaited in between."""

@final
class Identity:
    """Who a valid token speaks for."""

    @property
    def user_id(self) -> int: ...
    @property
    def username(self) -> str:
        """The name as it is now, which need not be the one at login."""
    @property
    def token_generation(self) -> int:
        """The token's, which was the user's when it was judged."""

@final
class LoadBatch:
    """What the directory lacks and requests are waiting for. Each list holds nothing twice, all together at most
    1,000 keys. Dropped unanswered, it counts as `fail()`."""

    @property
    def user_ids(self) -> list[int]: ...
    @property
    def usernames(self) -> list[str]:
        """Lowercase."""
    @property
    def chat_ids(self) -> list[str]: ...
    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Two user ids each, the lower first, whose private chat is wanted; to be made where there is none."""
    def resolve(
        self,
        users: Sequence[tuple[int, str, int, int, bool]],
        chats: Sequence[tuple[str, int, Sequence[tuple[int, bool]]]],
        private_chats: Sequence[tuple[tuple[int, int], int]],
    ) -> None:
        """Answers the batch; what was asked and is not among the rows does not exist.

        Each user is `(id, username, revision, token_generation, deleted)`, each chat `(id, number, members)` with
        members as `(user_id, may_post)`, each private chat `(pair, number)`. Rows that a later `put_user` or `put_chat`
        has overtaken are ignored.
        """
    def fail(self) -> None:
        """The database did not answer: the waiting requests get 503."""

@final
class Journal:
    """The messages that a core has accepted and that are to be written, a batch at a time. For one writer."""

    def __new__(cls, core: Core) -> Journal: ...
    def fileno(self) -> int:
        """An eventfd that becomes readable when there may be something to take; to be read empty by who watches it."""
    def open(self, last_id: int) -> None:
        """From now on messages are accepted; their ids are above `last_id`, and never go back."""
    def close(self) -> None:
        """From now on sends get 503. What has gathered can still be taken."""
    def give_up(self) -> None:
        """What has gathered and is in no batch yet is not going to be stored: its senders get 503."""
    @property
    def pending(self) -> int:
        """Messages accepted and not answered."""
    def take(self) -> Batch | None:
        """All that has gathered, at most a thousand messages; `None` where there is nothing, or while the last batch is
        not settled. Releases the GIL."""

@final
class Batch:
    """Messages to be written in one transaction. One of `publish`, `give_up` and `abandon` settles it; dropped before
    that, it is abandoned."""

    @property
    def size(self) -> int:
        """As it was taken."""
    @property
    def message_ids(self) -> list[int]:
        """Ascending, in the order of `rows`."""
    @property
    def last_id(self) -> int:
        """The last of them, 0 where there is none left."""
    def rows(self) -> bytes:
        """For `COPY messages (id, chat, sender, text) FROM STDIN (FORMAT binary)`."""
    def claims(self) -> tuple[int, tuple[str, str, str]]:
        """How many messages have a client id, and of those the columns senders, client ids and message ids, each with a
        newline between the values."""
    def take_repeats(self, claimed: Sequence[int]) -> Repeats:
        """Takes those out that have a client id and are not among the messages in `claimed`: theirs was used before."""
    def publish(self) -> Awaitable[None]:
        """It is committed: delivers the messages to who is in their chats now, and answers the senders."""
    def give_up(self) -> None:
        """It is not stored and will not be: the senders get 503."""
    def doubt(self) -> None:
        """Nobody knows whether it is stored: the senders get 503, and sessions that may miss something say so. It is
        still to be settled; where it is, nothing happens."""
    def abandon(self) -> None:
        """Nobody knows, and nobody will find out before the journal is opened again: settles it if nothing has."""

@final
class Repeats:
    """Messages that are not stored since their client ids were used before. Dropped unanswered, their senders are to
    try again."""

    def claims(self) -> list[tuple[int, str]]:
        """Sender and client id of each."""
    def answer_with(self, first: Sequence[tuple[int, str, int]]) -> None:
        """Answers them by sender, client id, and the message that it was used for. Who is not among them is to try
        again."""

@final
class Core:
    """The data plane of one server process."""

    def __new__(cls, *, signing_key: bytes) -> Core:
        """`signing_key`: the HS256 key, at least 32 bytes.

        Raises:
            ValueError: the key is shorter.
        """
    def apply_settings(
        self,
        *,
        polling_max_size: int,
        polling_time_sec: int,
        max_users_amount: int,
        max_queue_size: int,
        max_queue_bytes: int,
        session_idle_timeout_sec: int,
        max_sessions_amount: int,
        limiter_is_enabled: bool,
        limiter_token_refill_amount: int,
        limiter_max_rps_per_user: int,
        limiter_idle_timeout_sec: int,
        history_is_enabled: bool,
        history_max_pending: int,
    ) -> None:
        """Puts one snapshot of the dynamic config in force, whole, from the next request on. The caller has checked
        the ranges."""

    # The clock
    def now(self) -> float:
        """Unix time in seconds by the clock that sessions, limiters and tokens are judged by."""
    def set_clock_offset(self, offset_sec: float) -> None:
        """Puts that clock `offset_sec` ahead of the machine's (behind it, when negative)."""

    # The hot routes. `authorization` is the header's value, `None` without one.
    def send(self, authorization: str | None, body: bytes) -> Awaitable[Reply]:
        """`POST /v1/messages/send`. Of a body over 16,000 bytes any prefix longer than that will do."""
    def post_message(self, authorization: str | None, chat_id: str, body: bytes) -> Awaitable[Reply]:
        """`POST /v2/chats/{id}/messages`. Of a body over 65,536 bytes any prefix longer than that will do."""
    def start(self, authorization: str | None) -> Awaitable[Reply]:
        """`POST /v1/messages/poll/start`."""
    def poll(self, authorization: str | None, session_id: str) -> Awaitable[Reply]:
        """`GET /v1/messages/poll/{session_id}`. Cancelling the wait frees the session for the next poll."""
    def authenticate(self, authorization: str | None) -> Awaitable[Identity]:
        """Judges a token for the routes that Python serves.

        Raises (from the awaitable):
            ApiError: 401 for a token that is not valid now, 503 where the user cannot be looked up.
        """

    # The directory and its loader
    def next_load(self) -> Awaitable[LoadBatch]:
        """Waits until requests lack something; for one consumer at a time."""
    def put_user(self, user_id: int, username: str, revision: int, token_generation: int, deleted: bool) -> None:
        """Tells the directory of a committed user row. Rows older than the one known (by `revision`) are ignored.
        A deleted user's sessions are closed; polls parked with a token that is void by now end with 401."""
    def forget_user(self, user_id: int) -> None:
        """To be called where it is not known whether a change of the user was committed: has the row loaded again."""
    def put_chat(self, chat_id: str, number: int, members: Sequence[tuple[int, bool]]) -> None:
        """Tells the directory of a committed chat: the number that its messages carry, and its members as `(user_id,
        may_post)`."""

    def refuse(self) -> None:
        """Begins a planned stop: from now on sends and starts get 503. What was accepted and parked polls go on."""
    def stop(self) -> None:
        """Goes on with a planned stop: parked and new polls answer at once with what waits for them, else empty and
        with a jittered `Retry-After`."""

    @property
    def is_stopping(self) -> bool:
        """Whether a stop has begun."""

    # Collecting
    @property
    def shard_count(self) -> int: ...
    def sweep(self, shard: int) -> int:
        """Closes the idle sessions of one shard and removes empty mailboxes and idle limiters; returns how many
        sessions it closed. Their memory, and the mailboxes', is freed by `release_swept`. Releases the GIL.

        Raises:
            IndexError: there is no such shard.
        """
    def release_swept(self) -> None:
        """Frees what the sweeps since the last call removed, a little at a time: half a minute for a million sessions.
        Releases the GIL."""
    def reset(self) -> None:
        """Closes every session and forgets what everybody has sent, for tests. Releases
        the GIL."""
    def numbers(self) -> list[tuple[str, str, int]]:
        """Counters (`..._total`) and gauges of the HTTP contract ("Monitor"): `(name, help, value)`."""
    def histograms(self) -> list[tuple[str, str, list[int], list[int], int]]:
        """Its histograms: `(name, help, bounds, counts, sum)`. A count is a bucket's own, not cumulated; there is one a
        bound, for the values up to it, and one more for what is above the last. Looks at every session, with the GIL
        released."""

@final
class Requests:
    """Counts requests by route, method and status, and what their answers took; those that the edge answers without
    being told."""

    def __new__(cls, *, logged: bool) -> Requests:
        """`logged`: keep those that the edge answers for `next_lines`."""
    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer. A route, once counted, is never forgotten: take its template, not the path."""
    def counts(self) -> list[tuple[str, str, list[tuple[int, int]], list[int], list[int], int]]:
        """By route and method: `(method, route, [(status, count)], bounds, counts, sum)`, the last three as in
        `Core.histograms`, in microseconds."""
    def next_lines(self) -> Awaitable[tuple[list[tuple[str, str, int, float, str]], int]]:
        """Waits for requests that the edge has answered: some of them, as `(method, route, status, seconds,
        request_id)`, and how many were not kept since the last call because nobody took them. For one consumer at a
        time; never ends where they are not `logged`."""

@final
class Edge:
    """The native HTTP front of one `Core`: it answers the hot routes itself and passes everything else to the
    application on a Unix socket."""

    def __new__(
        cls,
        core: Core,
        requests: Requests,
        *,
        listen: str,
        monitor: str,
        upstream: str,
        threads: int,
        max_connections: int,
        max_connections_per_address: int,
        trusted_proxies: Sequence[str],
        watchdog_sec: int,
    ) -> Edge:
        """Binds both addresses (`host:port` with IP addresses) and begins to serve.

        Args:
            core: whose routes it serves.
            requests: counts what it answers itself.
            listen: where the public comes in.
            monitor: where operators come in.
            upstream: path of the application's Unix socket.
            threads: 0 for one a core.
            max_connections: open public connections, in total.
            max_connections_per_address: and by client address.
            trusted_proxies: IP addresses whose `X-Forwarded-For` and `X-Request-Id` are believed.
            watchdog_sec: the process ends when it was not told for so long that the event loop turns.

        Raises:
            ValueError: something is not an IP address.
            OSError: an address cannot be bound.
        """
    @property
    def open_connections(self) -> int:
        """Public ones: a gauge."""
    def beat(self) -> None:
        """Says that the event loop turns; to be called about once a second. After 5 s without, the edge answers
        `/service/ready` itself, with 503."""
    def refuse_sign_ins(self, refused: bool) -> None:
        """Whether it refuses sign-ins itself, with 503, instead of passing them on."""
    def drain(self) -> None:
        """Takes no new public connections and lets those that are open end with the request they are in."""
    @property
    def is_drained(self) -> bool:
        """Whether that is done: no public connection is open, nor will be."""
    def close(self) -> None:
        """Ends every connection and waits for the threads. Releases the GIL."""
    def refusals(self) -> dict[str, int]:
        """What was turned away, by reason."""
