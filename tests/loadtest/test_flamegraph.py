"""How what py-spy and perf saw becomes one picture."""

from loadtest.flamegraph import native_stacks, python_stacks, weighed

SPY = [
    "thread (11): MainThread;serve (pychat/server.py:1);write (libc.so.6) 3",
    "thread (11): MainThread;serve (pychat/server.py:1) 1",
    "thread (12): asyncio_0;_worker (concurrent/futures/thread.py:81);_queue_SimpleQueue_get_impl (queue.c:1) 90",
    "thread (13);PyGILState_Ensure (pystate.c:1) 5",
]
PERF = [
    "edge-0-10/13;start_thread;poll_flush;[kernel] 30",
    "postgres-20/20;main;a frame with spaces 10",
    "python-10/11;main 7",
    "tokio-rt-worker-10/15;main 1",
]


def test_waiting_and_unnamed_threads_are_not_py_spys() -> None:
    stacks, names = python_stacks(SPY)
    assert names == {11: "MainThread", 12: "asyncio_0"}
    assert dict(stacks[11]) == {"serve (pychat/server.py:1);write (libc.so.6)": 3, "serve (pychat/server.py:1)": 1}
    assert stacks.keys() == {11}


def test_every_thread_weighs_what_the_kernel_gave_it() -> None:
    python, _ = python_stacks(SPY)
    roots = {11: "Python;MainThread", 13: "edge;edge-0", 14: "Granian;tokio-rt-worker", 20: "Postgres;checkpointer"}
    # One that perf has seen once and that ended, one that nobody saw, one that did nothing.
    spent = {11: 4_000, 13: 90_000, 14: 50, 20: 0}
    assert weighed({**native_stacks(PERF), **python}, roots, spent).splitlines() == [
        "Python;MainThread;serve (pychat/server.py:1);write (libc.so.6) 3000",
        "Python;MainThread;serve (pychat/server.py:1) 1000",
        "edge;edge-0;start_thread;poll_flush;[kernel] 90000",
        "Granian;tokio-rt-worker 50",
    ]
