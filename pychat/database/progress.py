"""How far something long has come: one line that is overwritten on a terminal, else a line every now and then."""

import sys
import time
from types import TracebackType
from typing import Self

import click

UNITS = ("B", "kB", "MB", "GB", "TB")
EVERY_SEC = 0.2
EVERY_SEC_IN_A_LOG = 10.0


class Progress:
    """Of one work, for a `with` block; goes to standard error."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._on_terminal = sys.stderr.isatty()
        self._next: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_terminal and self._next is not None:
            click.echo("\r\033[K", err=True, nl=False)

    def tell(self, what: str, size: int) -> None:
        """It has come to `what`, with `size` bytes all told."""
        now = time.monotonic()
        if self._next is None:
            click.echo(self._title, err=True)
        elif now < self._next:
            return
        self._next = now + (EVERY_SEC if self._on_terminal else EVERY_SEC_IN_A_LOG)
        text = f"  {amount(size)}  {what}".rstrip()
        click.echo(f"\r\033[K{text}" if self._on_terminal else text, err=True, nl=not self._on_terminal)


def amount(size: int) -> str:
    """A number of bytes for people."""
    power = 0
    while size >= 1000 ** (power + 1) and power < len(UNITS) - 1:
        power += 1
    return f"{size / 1000**power:.{1 if power else 0}f} {UNITS[power]}"
