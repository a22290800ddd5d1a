"""Bodies of the operators' routes."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from pychat.tasks import Outcome


class StateAnswer(Struct):
    status: Literal["live", "ready"]


class ClockBody(Struct):
    offset_sec: float


class TaskAnswer(Struct):
    """A background task and its last run; `null` where it has not run yet."""

    name: str
    last_run_at: datetime | None
    last_run_sec: float | None
    last_outcome: Outcome | None


class TasksAnswer(Struct):
    tasks: list[TaskAnswer]
