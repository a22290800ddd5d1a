"""What a bench gives back: figures, each beside that of what one would use instead, where there is one."""

from collections.abc import Iterable
from dataclasses import dataclass

PER_SECOND = "/s"
"""The one unit of which more is better."""


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    against: str = ""
    other: float = 0.0

    @property
    def ratio(self) -> float | None:
        """How many times as good ours is."""
        if not self.against:
            return None
        return self.value / self.other if self.unit == PER_SECOND else self.other / self.value


def ratios(figures: Iterable[Figure]) -> dict[str, float]:
    """By what was compared; never absolute figures, which say more of the machine than of pychat."""
    return {f"{each.name}, against {each.against}": each.ratio for each in figures if each.ratio is not None}


def show(title: str, figures: Iterable[Figure]) -> None:
    print(f"\n{title:56}{'':5}{'pychat':>12}{'other':>12}{'ratio':>8}")
    for each in figures:
        line = f"  {each.name:54}{each.unit:>5}{each.value:12,.1f}"
        if each.ratio is not None:
            line += f"{each.other:12,.1f}{each.ratio:8.2f}  {each.against}"
        print(line, flush=True)
