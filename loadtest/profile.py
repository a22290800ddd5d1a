"""What a load test does and what it must hold: a TOML file of `profiles/`."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

FOLDER = Path(__file__).with_name("profiles")


class ProfileError(Exception):
    """A profile that cannot be run; the message is one line."""


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """Moves to `users` at `spawn_rate` users a second and stays there, for `seconds` in all."""

    users: Annotated[int, Meta(ge=1, le=100_000)]
    spawn_rate: Annotated[float, Meta(gt=0, le=1_000)]
    seconds: Annotated[float, Meta(gt=0, le=7 * 86_400)]


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """What the exit code judges. Lost, doubled and undeclared messages are never allowed, whatever the profile."""

    send_p95_ms: Annotated[float, Meta(gt=0)]
    delivery_p95_ms: Annotated[float, Meta(gt=0)]
    failed_share: Annotated[float, Meta(ge=0, le=1)] = 0.0  # of all requests
    # Of the server with its Postgres, from the second quarter of the time to the last one; only where it runs here.
    memory_growth: Annotated[float, Meta(gt=0)] | None = None


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    description: str
    stages: Annotated[list[Stage], Meta(min_length=1)]
    thresholds: Thresholds
    # Each person writes this often; the default limiter allows 5 a second.
    messages_per_second: Annotated[float, Meta(gt=0, le=1_000)] = 0.5

    @property
    def seconds(self) -> float:
        """How long it takes, without starting and reporting."""
        return sum(stage.seconds for stage in self.stages)

    def at(self, second: float) -> int | None:
        """The index of the stage that is on `second` seconds after the start; `None` when all are over."""
        end = 0.0
        for number, stage in enumerate(self.stages):
            end += stage.seconds
            if second < end:
                return number
        return None


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load_profile(name_or_file: str) -> Profile:
    """The profile of `profiles/<name>.toml`, or of a file given by its path.

    Raises:
        ProfileError: there is none, or it is not valid.
    """
    file = Path(name_or_file) if name_or_file.endswith(".toml") else FOLDER / f"{name_or_file}.toml"
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Profile)
    except FileNotFoundError:
        raise ProfileError(f"no profile {name_or_file}; there are {', '.join(names())}, or give a .toml file") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise ProfileError(f"{file}: {error}") from None
