from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pychat.structures import Full, RcuMap

# -1 and -2 have the same hash; 1, 1.0 and True are one key.
KEYS = st.sampled_from([-1, -2, 1, 1.0, True, "a", None, (1, 2), 4, 5])


@given(st.lists(st.tuples(st.booleans(), KEYS)), st.integers(1, 6))
def test_against_dict(steps: list[tuple[bool, object]], bound: int) -> None:
    entries = RcuMap[object, int](bound)
    model: dict[object, int] = {}
    for number, (is_insert, key) in enumerate(steps):
        if is_insert and key in model:
            with pytest.raises(KeyError):
                entries.insert(key, number)
        elif is_insert and len(model) == bound:
            with pytest.raises(Full):
                entries.insert(key, number)
        elif is_insert:
            entries.insert(key, number)
            model[key] = number
        elif key in model:
            assert entries.remove(key) == model.pop(key)
        else:
            with pytest.raises(KeyError):
                entries.remove(key)
        assert entries.get(key) == model.get(key)
        assert (key in entries) == (key in model)
        assert entries == entries.snapshot() == model
        assert len(entries) == len(model)
        assert set(entries) == entries.keys() == model.keys()
        assert sorted(entries.values()) == sorted(model.values())
        assert entries.items() == model.items()


def test_is_a_mapping() -> None:
    numbers = RcuMap[str, int](bound=4)
    numbers.insert("one", 1)
    assert isinstance(numbers, Mapping)
    assert dict(numbers) == {"one": 1}
    assert numbers["one"] == 1
    assert numbers.get("two", "none") == "none"
    with pytest.raises(KeyError):
        numbers["two"]
    with pytest.raises(TypeError):
        hash(numbers)


def test_a_snapshot_is_a_copy() -> None:
    numbers = RcuMap[str, int](bound=4)
    numbers.insert("one", 1)
    snapshot = numbers.snapshot()
    numbers.remove("one")
    snapshot["two"] = 2
    assert snapshot == {"one": 1, "two": 2}
    assert numbers == {}


@pytest.mark.parametrize("bound", [0, -1])
def test_refuses_a_bound_under_one(bound: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RcuMap[int, int](bound)
