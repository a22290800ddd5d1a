"""Bodies of the operators' routes."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from pychat.tasks import Outcome


class StateAnswer(Struct):
    status: Literal["live", "ready"]


class ClockBody(Struct):
    offset_sec: float


class MonitorQuery(Struct):
    format: Literal["prometheus", "json"] = "prometheus"
    # As it is written in the format: with dots in `json`.
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:]*$", max_length=200)] = ""
    # A JSON object of the labels that are wanted and their values.
    labels: str = "{}"


class TaskAnswer(Struct):
    """A background task and its last run; `null` where it has not run yet."""

    name: str
    last_run_at: datetime | None
    last_run_sec: float | None
    last_outcome: Outcome | None


class TasksAnswer(Struct):
    tasks: list[TaskAnswer]
