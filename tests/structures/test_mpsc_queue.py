from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pychat.structures import Full, MpscQueue


@given(st.lists(st.sampled_from(["push", "pop", "drain"])), st.integers(1, 4))
def test_against_deque(steps: list[str], bound: int) -> None:
    queue = MpscQueue[int](bound)
    model: deque[int] = deque()
    for number, step in enumerate(steps):
        if step == "drain":
            assert queue.drain() == list(model)
            model.clear()
        elif step == "pop" and model:
            assert queue.pop() == model.popleft()
        elif step == "pop":
            with pytest.raises(IndexError, match="empty"):
                queue.pop()
        elif len(model) == bound:
            with pytest.raises(Full, match=f"holds {bound}"):
                queue.push(number)
        else:
            queue.push(number)
            model.append(number)
        assert len(queue) == len(model)
        assert queue.bound == bound


@pytest.mark.parametrize("bound", [0, -1])
def test_refuses_a_bound_under_one(bound: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MpscQueue[int](bound)
