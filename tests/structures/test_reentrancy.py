"""Keys and values whose own code uses the very structure it is called from: nothing deadlocks, nothing breaks."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pychat.structures import Full, MpscQueue, RcuMap, ShardedMap

pytestmark = pytest.mark.timeout(20)


class Key:
    """Every key has the same hash; hashing and comparing runs a function."""

    def __init__(self, number: int, run: Callable[[], object]) -> None:
        self.number = number
        self.run = run

    def __hash__(self) -> int:
        self.run()
        return 1

    def __eq__(self, other: object) -> bool:
        self.run()
        return isinstance(other, Key) and self.number == other.number


class Dying:
    def __init__(self, run: Callable[[], object]) -> None:
        self.run = run

    def __del__(self) -> None:
        self.run()


def test_keys_of_a_sharded_map_may_use_it() -> None:
    entries = ShardedMap[object, int](shards=1)

    def use() -> None:
        entries["seen"] = entries.get("seen", 0) + 1
        entries.pop("other", None)
        len(entries)

    for number in range(5):
        entries[Key(number, use)] = number
    assert entries[Key(3, use)] == 3
    assert entries.remove_if(Key(3, use), lambda value: value == 3)
    assert entries.get_or_insert(Key(3, use), lambda: 33) == 33
    assert entries["seen"] > 0
    assert len(entries) == sum(entries.shard_sizes()) == 6


def test_a_change_that_overtakes_another_makes_it_decide_again() -> None:
    entries = ShardedMap[object, int](shards=1)
    overtaken: list[int] = []

    def doomed(value: int) -> bool:
        if not overtaken:
            overtaken.append(value)
            entries["key"] = 2
        return value == 1

    entries["key"] = 1
    assert not entries.remove_if("key", doomed)
    assert overtaken == [1]
    assert entries == {"key": 2}


def test_of_two_values_for_a_missing_key_the_first_stays() -> None:
    entries = ShardedMap[str, int]()

    def make() -> int:
        entries["key"] = 1
        return 2

    assert entries.get_or_insert("key", make) == 1


def test_a_key_put_in_while_an_equal_one_is_compared_is_not_doubled() -> None:
    entries = ShardedMap[Key, str](shards=1)
    twin = Key(2, lambda: None)
    pending = [True]

    def overtake() -> None:
        if pending:
            pending.clear()
            entries[twin] = "first"

    entries[Key(1, overtake)] = "other"
    pending.append(True)
    entries[Key(2, lambda: None)] = "second"
    assert len(entries) == 2
    assert entries[twin] == "second"


def test_removed_values_of_a_sharded_map_may_use_it() -> None:
    entries = ShardedMap[str, object](shards=1)
    deaths: list[int] = []

    def use() -> None:
        entries[f"death {len(deaths)}"] = 1
        deaths.append(len(entries))

    entries["key"] = Dying(use)
    del entries["key"]
    entries["key"] = Dying(use)
    entries["key"] = Dying(use)
    entries.clear()
    entries["key"] = Dying(use)
    assert entries.remove_if("key", lambda _: True)
    assert len(deaths) == 4


def test_keys_of_an_rcu_map_may_change_it() -> None:
    entries = RcuMap[object, int](bound=10)
    pending: list[object] = []

    def overtake() -> None:
        if pending:
            entries.insert(pending.pop(), 0)

    for number in range(3):
        entries.insert(Key(number, overtake), number)
    pending.append(Key(7, lambda: None))
    with pytest.raises(KeyError):
        entries.insert(Key(7, lambda: None), 7)  # an equal one came in while it was compared
    pending.append("a")
    assert entries.remove(Key(1, lambda: None)) == 1
    assert len(entries) == 4


def test_removed_values_of_an_rcu_map_may_use_it() -> None:
    entries = RcuMap[str, object](bound=2)
    entries.insert("key", Dying(lambda: entries.insert("dead", 1)))
    entries.remove("key")
    assert entries == {"dead": 1}


def test_values_of_a_queue_may_use_it() -> None:
    queue = MpscQueue[object](1)
    queue.push(Dying(lambda: queue.push("dead")))
    queue.pop()
    with pytest.raises(Full):
        queue.push(Dying(queue.pop))
    assert len(queue) == 0


class EndedFuture:
    """Is over from the start, so that another may take its place; as a step of it is dropped, the garbage collector
    looks through all there is."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.run = run

    def done(self) -> bool:
        return True

    def __await__(self) -> Iterator[None]:
        self.run()
        try:
            yield
        finally:
            gc.collect()


def test_a_step_of_a_wait_may_take_another_and_is_dropped_when_no_lock_is_held() -> None:
    queue = MpscQueue[int](1)
    wait: Any = queue.wait_pop()
    steps = iter([lambda: next(wait), lambda: None])

    class Loop:
        def create_future(self) -> EndedFuture:
            return EndedFuture(next(steps))

        def is_closed(self) -> bool:
            return False

    asyncio._set_running_loop(Loop())  # type: ignore[arg-type]  # as much of a loop as a wait asks for
    try:
        assert next(wait) is None
        queue.push(1)
        with pytest.raises(StopIteration, match="1"):
            next(wait)
    finally:
        asyncio._set_running_loop(None)
