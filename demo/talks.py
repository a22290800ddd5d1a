"""Reads who is there and what they said: `people.txt`, `talks.txt`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent

# Between two lines; it varies a little, as it does among people.
PAUSES = [timedelta(seconds=seconds) for seconds in (40, 95, 20, 150, 65, 30, 110)]


@dataclass(frozen=True)
class Somebody:
    username: str
    display_name: str
    biography: str


@dataclass(frozen=True)
class Line:
    sender: str
    text: str
    said_at: datetime


@dataclass
class Talk:
    """A private chat; `unread` has how many of the last lines one has not read."""

    one: str
    other: str
    lines: list[Line] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)


def read_people() -> list[Somebody]:
    people = []
    for line in (FOLDER / "people.txt").read_text(encoding="utf-8").splitlines():
        username, rest = line.split(maxsplit=1)
        display_name, _, biography = rest.partition("  ")
        people.append(Somebody(username, display_name, biography.strip()))
    return people


def read_talks(now: datetime) -> Iterator[Talk]:
    """The talks, as if they had been held up to `now`."""
    talk: Talk | None = None
    clock = now
    for line in (FOLDER / "talks.txt").read_text(encoding="utf-8").splitlines():
        match line.split():
            case [] | ["#", *_]:
                continue
            case ["==", one, other]:
                if talk:
                    yield talk
                talk = Talk(one, other)
            case ["@", minutes]:
                clock = now - timedelta(minutes=int(minutes))
            case ["@", days, clock_time]:
                day = (now - timedelta(days=int(days))).date()
                clock = datetime.combine(day, time.fromisoformat(clock_time), now.tzinfo)
            case ["unread", who, count] if talk:
                talk.unread[who] = int(count)
            case _ if talk:
                sender, _, text = line.partition(": ")
                talk.lines.append(Line(sender, text, clock))
                clock += PAUSES[len(talk.lines) % len(PAUSES)]
    if talk:
        yield talk
