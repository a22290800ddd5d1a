"""A folder for each test that starts something, where also the account that it runs under can enter."""

from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture
def folder(workspace: Path) -> Path:
    made = workspace / uuid4().hex[:8]
    made.mkdir()
    return made
