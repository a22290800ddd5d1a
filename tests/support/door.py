"""The ways into the server. The suite runs through each: one meaning, however a request gets in."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Door:
    name: str
    environment: Mapping[str, str] = field(default_factory=dict)


DOORS = [Door("edge"), Door("litestar", {"PYCHAT_EDGE__ENABLED": "false"})]
