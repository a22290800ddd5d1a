"""Many threads on one structure: decisions about one key are atomic, no change is lost."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from pychat.structures import Full, RcuMap, ShardedMap

THREADS = 4


@pytest.fixture(autouse=True)
def _often_switched() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class Key:
    """Keys of few hashes, whose comparing lets other threads in."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number


def test_a_missing_key_gets_one_value() -> None:
    entries = ShardedMap[Key, object](shards=2)
    got: list[list[object]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        got[thread] = [entries.get_or_insert(Key(number), object) for number in range(50)]

    in_threads(work)
    assert got[1:] == got[:-1]
    assert len(entries) == sum(entries.shard_sizes()) == 50


def test_each_entry_is_removed_once() -> None:
    entries = ShardedMap[Key, int](shards=2)
    removed = [0] * THREADS
    put = [0] * THREADS

    def work(thread: int) -> None:
        for round_number in range(500):
            # One's own keys go in, anybody's come out.
            key = thread * 10 + round_number % 10
            if Key(key) not in entries:
                entries[Key(key)] = key
                put[thread] += 1
            removed[thread] += entries.remove_if(Key((key + 10) % (THREADS * 10)), lambda value: value >= 0)

    in_threads(work)
    assert sum(put) - sum(removed) == len(entries) == sum(entries.shard_sizes())


def test_readers_meet_no_half_done_change() -> None:
    entries = ShardedMap[str, tuple[int, int]]()
    entries["pair"] = (0, 0)

    def work(thread: int) -> None:
        for number in range(2_000):
            if thread == 0:
                entries["pair"] = (number, number)
                entries[str(number)] = (number, number)
            else:
                first, second = entries["pair"]
                assert first == second
                assert all(first == second for first, second in entries.snapshot().values()) or number % 100
                entries.pop(str(number), None)

    in_threads(work)


def test_an_rcu_map_keeps_its_bound_and_loses_no_change() -> None:
    entries = RcuMap[Key, int](bound=5)
    inserted = [0] * THREADS
    removed = [0] * THREADS

    def work(thread: int) -> None:
        for round_number in range(1_000):
            number = (thread + round_number) % 8
            try:
                entries.insert(Key(number), number)
                inserted[thread] += 1
            except (KeyError, Full):
                pass
            assert len(entries) <= 5
            try:
                assert entries.remove(Key((number + 3) % 8)) == (number + 3) % 8
                removed[thread] += 1
            except KeyError:
                pass

    in_threads(work)
    assert sum(inserted) - sum(removed) == len(entries)
