"""Bodies of the operators' routes."""

from typing import Literal

from msgspec import Struct


class StateAnswer(Struct):
    status: Literal["live", "ready"]


class ClockBody(Struct):
    offset_sec: float
