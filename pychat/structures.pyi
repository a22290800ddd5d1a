"""The concurrent structures that pychat is built on, holding any Python objects.

They know nothing of chat and can be used without the server, from any thread. None calls Python code (`__hash__`,
`__eq__`, `__del__`, functions passed in) while it holds a lock, so such code may use the structure it is called from.
"""

from collections.abc import Awaitable, Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from types import GenericAlias
from typing import ClassVar, Generic, TypeVar, final, overload

__all__ = ["Full", "MpscQueue", "RcuMap", "ShardedMap"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")

class Full(Exception):
    """The structure holds as much as its bound allows."""

@final
class ShardedMap(Mapping[_K, _V]):
    """A mapping for many threads, cut into `shards` (a power of two up to 512), each behind a lock of its own.

    Reads, writes and decisions about one key are atomic, and none of your code runs under a lock: keys are hashed and
    compared outside, and a change is decided again if another thread changed the same entry meanwhile. So `__hash__`,
    `__eq__`, `__del__` and the functions you pass in may use the same map. Keys are told apart as in a `dict`.

    Iterating, `keys()`, `values()`, `items()` and `==` work on a copy (see `snapshot`): the map may change meanwhile.
    The order of the entries is not defined. The garbage collector sees what the map holds.

    Raises `ValueError` for another number of shards.

    >>> from pychat.structures import ShardedMap
    >>> stock = ShardedMap[str, int](shards=4)
    >>> stock["apples"] = 3
    >>> stock.get_or_insert("pears", lambda: 5), stock.get_or_insert("pears", lambda: 7)
    (5, 5)
    >>> stock.remove_if("apples", lambda left: left == 0)
    False
    >>> stock.pop("apples")
    3
    >>> stock == {"pears": 5}
    True
    >>> len(stock.shard_sizes()), sum(stock.shard_sizes())
    (4, 1)
    """

    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __new__(cls, shards: int = 16) -> ShardedMap[_K, _V]: ...
    def __getitem__(self, key: _K, /) -> _V:
        """Raises `KeyError` for a key that is not in the map."""
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int:
        """The number of entries: a gauge while other threads write."""
    def __iter__(self) -> Iterator[_K]: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether `other` is a mapping with the same entries."""
    __hash__: ClassVar[None]  # type: ignore[assignment]  # a mapping that changes has none, as `dict`
    @overload
    def get(self, key: _K, default: None = None, /) -> _V | None: ...
    @overload
    def get(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def get(self, key: _K, default: _T, /) -> _V | _T: ...
    def keys(self) -> KeysView[_K]: ...
    def values(self) -> ValuesView[_V]: ...
    def items(self) -> ItemsView[_K, _V]: ...
    def snapshot(self) -> dict[_K, _V]:
        """The entries as a `dict`: each shard as it was at one instant, the shards one after another."""
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None:
        """Raises `KeyError` for a key that is not in the map."""
    @overload
    def pop(self, key: _K, /) -> _V:
        """Removes the key and returns its value; of several threads one gets it.

        Raises `KeyError` for a key that is not in the map, where no default is given.
        """
    @overload
    def pop(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _T, /) -> _V | _T: ...
    def clear(self) -> None:
        """Removes every entry, one shard after another."""
    def get_or_insert(self, key: _K, make: Callable[[], _V], /) -> _V:
        """The key's value; a missing one is made by `make()` and put in.

        Threads that miss the same key at the same time may each call `make`: the first value put in is everybody's, the
        others are dropped.
        """
    def remove_if(self, key: _K, doomed: Callable[[_V], object], /) -> bool:
        """Removes the key if `doomed(value)` is true; returns whether it did.

        What is removed is the very value that was judged: if the key has been given another one meanwhile, that is
        judged anew, so `doomed` may be called several times.
        """
    def shard_sizes(self) -> list[int]:
        """The number of entries in each shard, each read at its own instant."""

@final
class MpscQueue(Generic[_T]):
    """A queue of at most `bound` values for many producers, in any threads, and one consumer, a thread or a coroutine.

    `push` never waits: it says when the queue is full. Values of one producer come out in the order they went in.
    `len()` is a gauge while others push or pop. Cancelling `wait_pop` loses nothing, since the value is taken only when
    the waiting coroutine goes on. `__del__` of a value may use the same queue.

    The garbage collector cannot look into the queue: a value that refers back to the queue keeps both alive until it is
    popped.

    Raises `ValueError` for a bound under 1.

    >>> import asyncio
    >>> from pychat.structures import Full, MpscQueue
    >>> queue = MpscQueue[str](bound=2)
    >>> queue.push("a")
    >>> queue.push("b")
    >>> try:
    ...     queue.push("c")
    ... except Full:
    ...     print("full")
    full
    >>> queue.pop(), queue.drain(), len(queue)
    ('a', ['b'], 0)
    >>> async def consumer():
    ...     asyncio.get_running_loop().call_soon(queue.push, "d")
    ...     return await queue.wait_pop()
    >>> asyncio.run(consumer())
    'd'
    """

    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __new__(cls, bound: int) -> MpscQueue[_T]: ...
    @property
    def bound(self) -> int: ...
    def push(self, value: _T, /) -> None:
        """Appends the value and wakes the consumer that waits, if any.

        Raises `Full` when `bound` values are queued; with several producers perhaps an instant too early,
        never too late.
        """
    def pop(self) -> _T:
        """The oldest value. Raises `IndexError` when there is none."""
    def drain(self) -> list[_T]:
        """All values that are queued at the beginning of the call, oldest first."""
    def wait_pop(self) -> Awaitable[_T]:
        """The oldest value, waiting for it if there is none. To be awaited in asyncio; pushes may come from any thread.

        Raises (from the awaitable) `RuntimeError` while another coroutine waits: there is one consumer.
        """
    def __len__(self) -> int: ...

@final
class RcuMap(Mapping[_K, _V]):
    """A small mapping of at most `bound` entries, read far more often than it is changed (read-copy-update).

    Readers never wait: they search the version that is in force. `insert` and `remove` make a copy with the change and
    put it in force if nobody else was faster, else begin again; a change takes time in proportion to the number of
    entries, of which some tens are meant. None of your code runs under a lock: `__hash__`, `__eq__` and `__del__` may
    use the same map. Keys are told apart as in a `dict`.

    Iterating, `keys()`, `values()`, `items()` and `==` work on a copy of one version (see `snapshot`). The order of the
    entries is not defined. The garbage collector sees what the map holds.

    Raises `ValueError` for a bound under 1.

    >>> from pychat.structures import Full, RcuMap
    >>> routes = RcuMap[str, int](bound=2)
    >>> routes.insert("a", 1)
    >>> routes.insert("b", 2)
    >>> try:
    ...     routes.insert("c", 3)
    ... except Full:
    ...     print("full")
    full
    >>> before = routes.snapshot()
    >>> routes.remove("a")
    1
    >>> sorted(before), sorted(routes)
    (['a', 'b'], ['b'])
    >>> routes.get("a") is None, routes["b"]
    (True, 2)
    """

    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __new__(cls, bound: int) -> RcuMap[_K, _V]: ...
    @property
    def bound(self) -> int: ...
    def __getitem__(self, key: _K, /) -> _V:
        """Raises `KeyError` for a key that is not in the map."""
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_K]: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether `other` is a mapping with the same entries."""
    __hash__: ClassVar[None]  # type: ignore[assignment]  # a mapping that changes has none, as `dict`
    @overload
    def get(self, key: _K, default: None = None, /) -> _V | None: ...
    @overload
    def get(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def get(self, key: _K, default: _T, /) -> _V | _T: ...
    def keys(self) -> KeysView[_K]: ...
    def values(self) -> ValuesView[_V]: ...
    def items(self) -> ItemsView[_K, _V]: ...
    def snapshot(self) -> dict[_K, _V]:
        """The entries of one version, as a `dict` of your own."""
    def insert(self, key: _K, value: _V, /) -> None:
        """Adds an entry.

        Raises `KeyError` when the key is in the map, `Full` when `bound` entries are.
        """
    def remove(self, key: _K, /) -> _V:
        """Removes the key and returns its value; of several threads one gets it.

        Raises `KeyError` for a key that is not in the map.
        """
