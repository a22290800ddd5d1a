import math
from collections.abc import Mapping

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pychat.structures import ShardedMap

# -1 and -2 have the same hash, as have 0 and 2**61 - 1; 1, 1.0 and True are one key.
KEYS = st.sampled_from([-1, -2, 0, 2**61 - 1, 1, 1.0, True, "", "a", None, (1, 2), 2**61, 4, 5])


class AgainstDict(RuleBasedStateMachine):
    """A map of which every method answers as a dict would."""

    def __init__(self) -> None:
        super().__init__()
        self.map = ShardedMap[object, int](shards=2)
        self.model: dict[object, int] = {}

    @rule(key=KEYS, value=st.integers())
    def put(self, key: object, value: int) -> None:
        self.map[key] = value
        self.model[key] = value

    @rule(key=KEYS, value=st.integers())
    def get_or_insert(self, key: object, value: int) -> None:
        assert self.map.get_or_insert(key, lambda: value) == self.model.setdefault(key, value)

    @rule(key=KEYS)
    def look_up(self, key: object) -> None:
        assert self.map.get(key) == self.model.get(key)
        assert self.map.get(key, "none") == self.model.get(key, "none")
        assert (key in self.map) == (key in self.model)
        if key in self.model:
            assert self.map[key] == self.model[key]
        else:
            with pytest.raises(KeyError):
                self.map[key]

    @rule(key=KEYS)
    def delete(self, key: object) -> None:
        if key in self.model:
            del self.map[key]
            del self.model[key]
        else:
            with pytest.raises(KeyError):
                del self.map[key]

    @rule(key=KEYS)
    def pop(self, key: object) -> None:
        assert self.map.pop(key, "none") == self.model.pop(key, "none")

    @rule(key=KEYS)
    def remove_if_even(self, key: object) -> None:
        is_even = key in self.model and self.model[key] % 2 == 0
        assert self.map.remove_if(key, lambda value: value % 2 == 0) is is_even
        if is_even:
            del self.model[key]

    @rule()
    def clear(self) -> None:
        self.map.clear()
        self.model.clear()

    @invariant()
    def holds_the_same(self) -> None:
        assert self.map == self.model
        assert len(self.map) == sum(self.map.shard_sizes()) == len(self.model)
        assert set(self.map) == self.map.keys() == self.model.keys()
        assert sorted(self.map.values()) == sorted(self.model.values())
        assert self.map.items() == self.model.items()
        # The key that came first is kept, as in a dict.
        assert {type(key) for key in self.map} == {type(key) for key in self.model}


TestAgainstDict = AgainstDict.TestCase


def test_is_a_mapping() -> None:
    numbers = ShardedMap[str, int]()
    numbers["one"] = 1
    assert isinstance(numbers, Mapping)
    assert dict(numbers) == {"one": 1}
    assert numbers != {"one": 2}
    assert numbers != 1
    with pytest.raises(TypeError):
        hash(numbers)


def test_a_missing_key_without_a_default() -> None:
    with pytest.raises(KeyError) as raised:
        ShardedMap[tuple[int, int], int]().pop((1, 2))
    assert raised.value.args == ((1, 2),)
    assert ShardedMap[int, int]().pop(1, None) is None


def test_finds_a_key_that_is_not_equal_to_itself() -> None:
    numbers = ShardedMap[float, str]()
    numbers[math.nan] = "not a number"
    assert numbers[math.nan] == "not a number"


def test_the_map_may_change_while_it_is_iterated_over() -> None:
    numbers = ShardedMap[int, int]()
    for number in range(100):
        numbers[number] = number
    for number in numbers:
        del numbers[number]
    assert not numbers


@pytest.mark.parametrize("shards", [-1, 0, 3, 1024])
def test_refuses_other_numbers_of_shards(shards: int) -> None:
    with pytest.raises(ValueError, match="power of two between 1 and 512"):
        ShardedMap[int, int](shards)


def test_errors_of_python_code_come_through_and_change_nothing() -> None:
    numbers = ShardedMap[object, int]()
    numbers["one"] = 1
    with pytest.raises(TypeError, match="unhashable"):
        numbers[[]] = 2
    with pytest.raises(ZeroDivisionError):
        numbers.get_or_insert("two", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        numbers.remove_if("one", lambda value: value // 0)
    assert numbers == {"one": 1}
