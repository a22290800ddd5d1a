"""`pychat.structures` against what one would write without them, by one thread and by two.

Each round does the same number of operations, shared among the threads; the bare loops around them are the
same for both sides. Rounds of one thread are short and many: some of them nobody else on the machine disturbs.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pychat.structures import MpscQueue, RcuMap, ShardedMap

OPERATIONS = {1: 10_000, 2: 100_000}  # by threads; of two enough for them to take several turns
HAND_OVERS = 10_000
KEYS = [f"user-{number}" for number in range(1_000)]
FEW_KEYS = KEYS[:20]
THREADS = pytest.mark.parametrize("threads", [1, 2])
SIDES = pytest.mark.parametrize("side", ["pychat", "usual"])


def measure(
    benchmark: BenchmarkFixture,
    work: Callable[[int], None],
    threads: int,
    against: str,
    then: Callable[[int], None] = lambda _: None,
) -> None:
    """Times `work(operations)`, shared among `threads`, from a common start to the end of the last, and what `then`
    does after that."""
    barrier = threading.Barrier(threads)
    operations = OPERATIONS[threads]

    def share() -> None:
        barrier.wait()
        work(operations // threads)

    def run() -> None:
        others = [threading.Thread(target=share) for _ in range(threads - 1)]
        for other in others:
            other.start()
        share()
        for other in others:
            other.join()
        then(operations)

    timed(benchmark, run, operations, against, rounds=3_000_000 // operations)


def timed(benchmark: BenchmarkFixture, run: Callable[[], None], operations: int, against: str, rounds: int) -> None:
    benchmark.extra_info.update(operations=operations, against=against)
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=rounds // 10)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types


@THREADS
@SIDES
def test_sharded_map_read(benchmark: BenchmarkFixture, side: str, threads: int) -> None:
    entries, plain, lock = ShardedMap[str, int](), dict.fromkeys(KEYS, 1), threading.Lock()
    for key in KEYS:
        entries[key] = 1

    def ours(operations: int) -> None:
        for _ in range(operations // len(KEYS)):
            for key in KEYS:
                entries[key]

    def usual(operations: int) -> None:
        for _ in range(operations // len(KEYS)):
            for key in KEYS:
                with lock:
                    plain[key]

    measure(benchmark, ours if side == "pychat" else usual, threads, "dict with a lock")


@THREADS
@SIDES
def test_sharded_map_write(benchmark: BenchmarkFixture, side: str, threads: int) -> None:
    entries, plain, lock = ShardedMap[str, int](), dict.fromkeys(KEYS, 1), threading.Lock()

    def ours(operations: int) -> None:
        for _ in range(operations // len(KEYS)):
            for key in KEYS:
                entries[key] = 1

    def usual(operations: int) -> None:
        for _ in range(operations // len(KEYS)):
            for key in KEYS:
                with lock:
                    plain[key] = 1

    measure(benchmark, ours if side == "pychat" else usual, threads, "dict with a lock")


@THREADS
@SIDES
def test_mpsc_queue_push_and_pop(benchmark: BenchmarkFixture, side: str, threads: int) -> None:
    """All threads push; then one pops everything."""
    bounded, simple = MpscQueue[int](OPERATIONS[threads]), queue.SimpleQueue[int]()

    def push_ours(operations: int) -> None:
        for number in range(operations):
            bounded.push(number)

    def pop_ours(operations: int) -> None:
        for _ in range(operations):
            bounded.pop()

    def push_usual(operations: int) -> None:
        for number in range(operations):
            simple.put_nowait(number)

    def pop_usual(operations: int) -> None:
        for _ in range(operations):
            simple.get_nowait()

    push, pop = (push_ours, pop_ours) if side == "pychat" else (push_usual, pop_usual)
    measure(benchmark, push, threads, "queue.SimpleQueue", pop)


@SIDES
def test_mpsc_queue_hand_over_in_a_loop(benchmark: BenchmarkFixture, side: str) -> None:
    """The consumer waits for each single value."""

    async def ours() -> None:
        bounded, loop = MpscQueue[int](1), asyncio.get_running_loop()
        for number in range(HAND_OVERS):
            loop.call_soon(bounded.push, number)
            await bounded.wait_pop()

    async def usual() -> None:
        plain, loop = asyncio.Queue[int](1), asyncio.get_running_loop()
        for number in range(HAND_OVERS):
            loop.call_soon(plain.put_nowait, number)
            await plain.get()

    work = ours if side == "pychat" else usual
    timed(benchmark, lambda: asyncio.run(work()), HAND_OVERS, "asyncio.Queue", rounds=30)


@SIDES
def test_mpsc_queue_hand_over_from_a_thread(benchmark: BenchmarkFixture, side: str) -> None:
    """A thread pushes as fast as it can; an `asyncio.Queue` must be reached through its loop."""

    async def ours() -> None:
        bounded = MpscQueue[int](HAND_OVERS)

        def produce() -> None:
            for number in range(HAND_OVERS):
                bounded.push(number)

        producer = asyncio.get_running_loop().run_in_executor(None, produce)
        for _ in range(HAND_OVERS):
            await bounded.wait_pop()
        await producer

    async def usual() -> None:
        plain, loop = asyncio.Queue[int](HAND_OVERS), asyncio.get_running_loop()

        def produce() -> None:
            for number in range(HAND_OVERS):
                loop.call_soon_threadsafe(plain.put_nowait, number)

        producer = loop.run_in_executor(None, produce)
        for _ in range(HAND_OVERS):
            await plain.get()
        await producer

    work = ours if side == "pychat" else usual
    timed(benchmark, lambda: asyncio.run(work()), HAND_OVERS, "asyncio.Queue", rounds=30)


@THREADS
@SIDES
def test_rcu_map_read(benchmark: BenchmarkFixture, side: str, threads: int) -> None:
    entries, holder = RcuMap[str, int](len(FEW_KEYS)), Holder(FEW_KEYS)
    for key in FEW_KEYS:
        entries.insert(key, 1)

    def ours(operations: int) -> None:
        for _ in range(operations // len(FEW_KEYS)):
            for key in FEW_KEYS:
                entries[key]

    def usual(operations: int) -> None:
        for _ in range(operations // len(FEW_KEYS)):
            for key in FEW_KEYS:
                holder.entries[key]

    measure(benchmark, ours if side == "pychat" else usual, threads, "a copied dict")


@THREADS
@SIDES
def test_rcu_map_insert_and_remove(benchmark: BenchmarkFixture, side: str, threads: int) -> None:
    """In a map of 20 entries; each thread has a key of its own."""
    entries, holder = RcuMap[object, int](30), Holder(FEW_KEYS)
    for key in FEW_KEYS:
        entries.insert(key, 1)

    def ours(operations: int) -> None:
        key = threading.get_ident()
        for _ in range(operations):
            entries.insert(key, 1)
            entries.remove(key)

    def usual(operations: int) -> None:
        key = threading.get_ident()
        for _ in range(operations):
            with holder.lock:
                holder.entries = {**holder.entries, key: 1}
            with holder.lock:
                copy = holder.entries.copy()
                del copy[key]
                holder.entries = copy

    measure(benchmark, ours if side == "pychat" else usual, threads, "a copied dict")


class Holder:
    """A dict that is replaced, never changed."""

    def __init__(self, keys: Iterable[object]) -> None:
        self.entries = dict.fromkeys(keys, 1)
        self.lock = threading.Lock()
