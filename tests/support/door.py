"""The ways into the server. The suite runs through each: one meaning, however a request gets in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest


@dataclass(frozen=True)
class Door:
    name: str
    environment: Mapping[str, str] = field(default_factory=dict)


EDGE = Door("edge")
LITESTAR = Door("litestar", {"PYCHAT_EDGE__ENABLED": "false"})
DOORS = [EDGE, LITESTAR]

through_the_edge = pytest.mark.parametrize("door", [EDGE], ids=[EDGE.name], indirect=True)
"""For tests of the edge itself; a module's `pytestmark`."""
