"""People who talk while something is changed under them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from tests.support.client import Person
from tests.support.wait import wait_until

# A limit may refuse a send, that is what it is for; nothing else may fail.
EXPECTED: Mapping[str, set[int]] = {"send": {202, 429}, "poll": {200}, "profile": {200}}


class Talk:
    """One person who writes to another, who reads, and both look each other up: all the time, each on a thread."""

    def __init__(self, writer: Person, reader: Person, expected: Mapping[str, set[int]] = EXPECTED) -> None:
        self._expected = expected
        chat_id, session = writer.chat_with(reader), reader.session()
        self._requests: dict[str, Callable[[], httpx.Response]] = {
            "send": lambda: writer.send(chat_id, "Hello"),
            "poll": lambda: reader.poll(session.session_id),
            "profile": lambda: writer.profile(reader.username),
        }
        self._over = threading.Event()
        self._failures: list[str] = []
        self._answers: Counter[tuple[str, int]] = Counter()

    def goes_on(self) -> None:
        """Waits until each kind of request was answered well some more times."""
        before = self._answers.copy()

        def all_go_on() -> bool:
            assert not self._failures, self._failures
            wanted = [("send", 202), ("poll", 200), ("profile", 200)]
            return all(self._answers[answer] >= before[answer] + 3 for answer in wanted)

        wait_until(all_go_on, "the talk goes on")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Talks during a `with` block, and insists at its end that nothing failed."""
        threads = [threading.Thread(target=self._repeat, args=[kind]) for kind in self._requests]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        assert not self._failures, self._failures

    def _repeat(self, kind: str) -> None:
        while not self._over.wait(0.002):
            try:
                answer = self._requests[kind]()
            except httpx.HTTPError as failure:
                self._failures.append(f"{kind}: {failure!r}")
                return
            self._answers[kind, answer.status_code] += 1
            if answer.status_code not in self._expected[kind]:
                self._failures.append(f"{kind}: {answer.status_code} {answer.text}")
                return
