"""What the documentation says of the structures is true: its examples run, and the stub tells the same as `help`."""

import ast
import doctest
import inspect
from pathlib import Path

import pytest

from pychat import structures
from pychat.structures import MpscQueue, RcuMap, ShardedMap

CLASSES = [MpscQueue, RcuMap, ShardedMap]
STUB = Path(structures.__file__).with_suffix(".pyi")


@pytest.mark.parametrize("documented", CLASSES)
def test_examples(documented: type) -> None:
    assert documented.__doc__ is not None
    examples = doctest.DocTestParser().get_doctest(documented.__doc__, {}, documented.__name__, None, None)
    results = doctest.DocTestRunner().run(examples)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("documented", CLASSES)
def test_stub_tells_the_same(documented: type) -> None:
    classes = {node.name: node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)}
    assert ast.get_docstring(classes[documented.__name__]) == inspect.getdoc(documented)
