"""The garbage collector sees what the maps hold, and leaves alone what is in use."""

import gc
import weakref

import pytest

from pychat.structures import MpscQueue, RcuMap, ShardedMap


class Node:
    """Something that can be referred to weakly and be in a cycle."""

    other: object = None


def test_cycle_through_a_value_of_a_sharded_map() -> None:
    entries = ShardedMap[object, object]()
    key, value = Node(), Node()
    seen = weakref.ref(key), weakref.ref(value)
    entries[key] = value
    key.other = value.other = entries
    del entries, key, value
    gc.collect()
    assert [node() for node in seen] == [None, None]


def test_cycle_through_a_value_of_an_rcu_map() -> None:
    entries = RcuMap[object, object](bound=2)
    key, value = Node(), Node()
    seen = weakref.ref(key), weakref.ref(value)
    entries.insert(key, value)
    key.other = value.other = entries
    del entries, key, value
    gc.collect()
    assert [node() for node in seen] == [None, None]


def test_what_is_handed_out_is_not_collected_with_the_map() -> None:
    entries = ShardedMap[str, Node]()
    node = Node()
    node.other = entries
    entries["node"] = node
    seen = weakref.ref(node)
    items = entries.items()
    del entries, node
    gc.collect()
    assert seen() is not None
    del items
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("is_sharded", [True, False])
def test_collections_during_a_look_up_take_nothing(is_sharded: bool) -> None:
    class Collecting:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            removed.append(entries.pop(kept) if isinstance(entries, ShardedMap) else entries.remove(kept))
            removed.clear()
            gc.collect()
            return True

    entries: ShardedMap[object, Node] | RcuMap[object, Node]
    removed: list[Node] = []
    kept = Collecting()
    if is_sharded:
        entries = ShardedMap()
        entries[kept] = Node()
    else:
        entries = RcuMap(2)
        entries.insert(kept, Node())
    # The entry that was found is removed, and garbage collected, while it is compared.
    assert isinstance(entries.get(Collecting()), Node)
    assert len(entries) == 0


def test_a_queue_gives_back_what_it_holds() -> None:
    queue = MpscQueue[Node](2)
    node = Node()
    seen = weakref.ref(node)
    queue.push(node)
    del node
    gc.collect()
    assert seen() is not None
    del queue
    assert seen() is None
