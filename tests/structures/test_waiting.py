"""`MpscQueue.wait_pop`: who waits is woken, and nothing is lost whatever happens to the one that waits."""

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Coroutine
from contextlib import nullcontext
from typing import Any

import pytest
import uvloop

from pychat.structures import Full, MpscQueue


async def waiting(queue: MpscQueue[int]) -> asyncio.Task[int]:
    """A task that has begun to wait."""
    task = asyncio.ensure_future(queue.wait_pop())
    await asyncio.sleep(0)
    assert isinstance(task, asyncio.Task)
    return task


async def test_a_value_that_is_there_needs_no_waiting() -> None:
    queue = MpscQueue[int](1)
    queue.push(1)
    task = await waiting(queue)
    assert task.done()
    assert task.result() == 1


async def test_is_woken_from_its_own_thread_and_from_another() -> None:
    queue = MpscQueue[int](1)
    task = await waiting(queue)
    queue.push(1)
    assert await task == 1
    task = await waiting(queue)
    await asyncio.to_thread(queue.push, 2)
    assert await task == 2


async def test_a_cancelled_wait_loses_nothing() -> None:
    queue = MpscQueue[int](1)
    task = await waiting(queue)
    task.cancel()
    queue.push(1)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await queue.wait_pop() == 1


async def test_a_wait_cancelled_after_it_was_woken_loses_nothing() -> None:
    queue = MpscQueue[int](1)
    task = await waiting(queue)
    queue.push(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert queue.pop() == 1


async def test_a_timeout_ends_the_wait() -> None:
    queue = MpscQueue[int](1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.wait_pop(), 0.01)
    queue.push(1)
    assert await queue.wait_pop() == 1


async def test_goes_on_waiting_when_the_value_was_taken_from_under_it() -> None:
    queue = MpscQueue[int](1)
    task = await waiting(queue)
    queue.push(1)
    assert queue.pop() == 1
    await asyncio.sleep(0)
    assert not task.done()
    queue.push(2)
    assert await task == 2


async def test_there_is_one_consumer() -> None:
    queue = MpscQueue[int](1)
    task = await waiting(queue)
    with pytest.raises(RuntimeError, match="another consumer"):
        await queue.wait_pop()
    queue.push(1)
    assert await task == 1


async def test_a_coroutine_that_was_closed_is_no_consumer() -> None:
    queue = MpscQueue[int](1)

    async def consume() -> int:
        return await queue.wait_pop()

    coroutine = consume()
    coroutine.send(None)
    coroutine.close()
    task = await waiting(queue)
    queue.push(1)
    assert await task == 1


def test_there_is_no_waiting_without_a_loop() -> None:
    queue = MpscQueue[int](1)

    async def consume() -> int:
        return await queue.wait_pop()

    with pytest.raises(RuntimeError, match="running event loop"):
        consume().send(None)
    assert asyncio.run(consume_after(queue, 1)) == 1


async def consume_after(queue: MpscQueue[int], value: int) -> int:
    task = await waiting(queue)
    queue.push(value)
    return await task


@pytest.mark.parametrize("bound", [1, 2])
def test_a_wake_that_failed_is_made_up_for_by_the_next(monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    queue = MpscQueue[int](bound)
    unraisable: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: unraisable.append(str(event.exc_value)))

    async def consume() -> int:
        return await queue.wait_pop()

    def fail(*_: object) -> None:
        raise OSError("as it happens")

    loop = asyncio.new_event_loop()
    task = loop.create_task(consume())
    loop.run_until_complete(asyncio.sleep(0))
    # The loop stands still, so a push comes as from another thread.
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_soon_threadsafe", fail)
        queue.push(1)
    assert unraisable == ["as it happens"]
    # Also by one for whom the queue is full.
    with pytest.raises(Full) if bound == 1 else nullcontext():
        queue.push(2)
    assert loop.run_until_complete(asyncio.wait_for(task, 10)) == 1
    assert queue.drain() == ([] if bound == 1 else [2])
    loop.close()


def run(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, int]) -> int:
    return loop.run_until_complete(coroutine)


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_closed_loop_is_no_consumer(new_event_loop: Any) -> None:
    queue = MpscQueue[int](2)

    async def consume() -> int:
        return await queue.wait_pop()

    first = new_event_loop()
    task = first.create_task(consume())
    first.run_until_complete(asyncio.sleep(0))
    first.close()
    queue.push(1)
    queue.push(2)
    second = new_event_loop()
    assert run(second, consume()) == 1
    assert run(second, consume()) == 2
    second.close()
    # Never finished, on purpose: asyncio would complain of it.
    task._log_destroy_pending = False


def test_a_loop_closed_while_waiting_is_no_consumer_for_the_next() -> None:
    queue = MpscQueue[int](2)

    async def consume() -> int:
        return await queue.wait_pop()

    first = asyncio.new_event_loop()
    task = first.create_task(consume())
    first.run_until_complete(asyncio.sleep(0))
    first.close()
    second = asyncio.new_event_loop()
    second.call_soon(queue.push, 1)
    assert run(second, consume()) == 1
    second.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own, set for the same reason as above


def test_a_consumer_that_waits_for_ever_is_collected() -> None:
    class Value:
        pass

    queue = MpscQueue[Value](1)
    loop = asyncio.new_event_loop()

    async def consume(queue: MpscQueue[Value], kept: Value) -> None:
        await queue.wait_pop()
        del kept

    value = Value()
    seen = weakref.ref(value)
    task = loop.create_task(consume(queue, value))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it never finishes, on purpose
    del queue, value, task, loop
    gc.collect()
    assert seen() is None


async def test_producers_in_threads_lose_nothing() -> None:
    queue = MpscQueue[tuple[int, int]](50)
    count, producers = 5_000, 4
    pause = threading.Event()

    def produce(producer: int) -> None:
        for number in range(count):
            while True:
                try:
                    queue.push((producer, number))
                except Full:
                    pause.wait(0.0001)
                else:
                    break

    threads = [threading.Thread(target=produce, args=(producer,)) for producer in range(producers)]
    for thread in threads:
        thread.start()
    received = [0] * producers
    while sum(received) < producers * count:
        producer, number = await queue.wait_pop()
        assert number == received[producer]
        received[producer] += 1
    for thread in threads:
        thread.join()
    assert len(queue) == 0
