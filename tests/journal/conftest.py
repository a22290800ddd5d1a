"""A core, and beside it a database, in the test's own process."""

import pytest

from pychat._core import Core
from tests.support.journal import new_core


@pytest.fixture
def core() -> Core:
    return new_core()
