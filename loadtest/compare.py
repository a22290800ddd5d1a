"""`make compare`: pychat beside what one would use instead, in one go on the same two cores."""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, NamedTuple

import click

from benches.process import pinned, two_cores
from loadtest.charts import draw_comparison
from loadtest.driver_process import Driven, Unsound, drive
from loadtest.peers import Peer, peers

OUT: Final = Path(__file__).with_name("results") / "compare"
PAIRS: Final = 50
CONNECTIONS: Final = 64
RATES: Final = (1_000, 5_000)
HELD_WHILE_DELIVERING: Final = 1_000
# One after the other on a server of its own, weighed while they are held: the difference has nothing of what a server
# takes at its start or for its first people.
HELD_FOR_MEMORY: Final = (500, 5_000)
# From here on it is the load that sets the pace, of which each message's reading is a part.
DRIVER_BUSY_CORES: Final = 0.9
BASE: Final = "pychat, volatile"


class Measured(NamedTuple):
    figures: dict[str, float]
    notes: list[str]  # why a figure is missing, or says less than it seems to


@click.command()
@click.option("--seconds", default=8, show_default=True, type=click.IntRange(3, 600), help="Of each measurement.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1, 99), help="Of each, for the medians.")
@click.option("--only", multiple=True, help="Only peers whose name begins so; may be given several times.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(seconds: int, runs: int, only: tuple[str, ...], out: Path) -> None:
    """Measures each server on one core, the load on another: what a publish costs, how long a delivery takes,
    what a held connection weighs.

    Prints a table, and writes compare.json and compare.png. Peers that cannot run here are named and left out; a
    figure is left out, with the reason, where messages were lost or the rate was not reached.
    """
    cores = two_cores()
    chosen = _chosen(only)
    out.mkdir(parents=True, exist_ok=True)
    lacks = {peer.name: peer.lacks for peer in chosen}
    measured: dict[str, Measured] = {}
    for peer in chosen:
        if peer.missing:
            click.echo(f"{peer.name}: left out, since {peer.missing} is not installed")
            continue
        click.echo(f"{peer.name} ...")
        try:
            measured[peer.name] = medians([_measure(peer, cores, seconds) for _ in range(runs)])
        except Exception as error:  # one that cannot be built or started must not cost the others' figures
            # Some bring a server's whole log.
            click.echo(shorten(f"{peer.name}: left out: {error}", 400))
            continue
        # At once: a later one may fail.
        kept = {name: {**one._asdict(), "lacks": lacks[name]} for name, one in measured.items()}
        (out / "compare.json").write_text(json.dumps(kept, indent=2) + "\n")
    if not measured:
        sys.exit("Nothing could be measured.")
    click.echo(table(measured, lacks))
    draw_comparison(out / "compare.png", {name: one.figures for name, one in measured.items()})
    click.echo(f"picture: {out / 'compare.png'}")


def _chosen(only: Sequence[str]) -> list[Peer]:
    everybody = peers()
    for begin in only:
        if not any(peer.name.startswith(begin) for peer in everybody):
            names = ", ".join(peer.name for peer in everybody)
            raise click.UsageError(f"--only: no peer's name begins with {begin}. There are: {names}")
    return [peer for peer in everybody if not only or peer.name.startswith(tuple(only))]


def _measure(peer: Peer, cores: list[int], seconds: int) -> Measured:
    figures: dict[str, float] = {}
    notes: list[str] = []
    with _started(peer, cores) as driven:
        with _noted(notes, "as fast as it can"):
            saturated = driven(saturate=True, duration=seconds)
            figures["publishes_per_sec"] = saturated.report["sends"]["per_sec"]
            figures["cpu_us_per_publish"] = saturated.cpu_us_per_send
            figures["driver_cpu"] = saturated.report["driver_cpu"]
        if not peer.delivers:
            return Measured(figures, notes)
        for rate in RATES:
            with _noted(notes, f"at {rate:,}/s"):
                paced = driven(rate=rate, duration=seconds, idle_polls=HELD_WHILE_DELIVERING)
                for percentile in ("p50", "p99"):
                    figures[f"delivery_{percentile}_ms_at_{rate}"] = paced.report["delivery_ms"][percentile]
    with _started(peer, cores) as driven, _noted(notes, "held connections"):
        few, many = (driven(rate=10, duration=3, idle_polls=held).memory_bytes for held in HELD_FOR_MEMORY)
        figures["bytes_per_held_connection"] = (many - few) / (HELD_FOR_MEMORY[1] - HELD_FOR_MEMORY[0])
    return Measured(figures, notes)


def medians(runs: Sequence[Measured]) -> Measured:
    """Each figure's; one that any run lacks is left out, and what was noted of any run stays."""
    keys = [key for key in runs[0].figures if all(key in run.figures for run in runs)]
    figures = {key: statistics.median(run.figures[key] for run in runs) for key in keys}
    return Measured(figures, list(dict.fromkeys(note for run in runs for note in run.notes)))


@contextmanager
def _started(peer: Peer, cores: list[int]) -> Iterator[Callable[..., Driven]]:
    """The peer on the first core; yields what loads it from the second."""
    with pinned({cores[0]}), peer.started() as started:

        def driven(**options: Any) -> Driven:
            common: dict[str, Any] = {
                "core": cores[1],
                "senders": PAIRS,
                "connections": CONNECTIONS,
                **peer.driver_options,
            }
            return drive(started.url, started.process, environment=started.environment, **common, **options)

        # This process too had only the server's.
        os.sched_setaffinity(0, set(cores))
        yield driven


@contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except Unsound as unsound:
        notes.append(f"{what}: {unsound}")


def table(measured: dict[str, Measured], lacks: dict[str, str]) -> str:
    """Each figure with its ratio to pychat's volatile one."""
    columns = {
        "publishes/s": ("publishes_per_sec", 1.0),
        "CPU us": ("cpu_us_per_publish", 1.0),
        **{f"p{p} ms at {r:,}/s": (f"delivery_p{p}_ms_at_{r}", 1.0) for r in RATES for p in (50, 99)},
        "KiB held": ("bytes_per_held_connection", 1 / 1024),
    }
    base = measured[BASE].figures if BASE in measured else {}
    lines = [f"{'':26}" + "".join(f"{head:>21}" for head in columns)]
    for name, (figures, _) in measured.items():
        cells = []
        for key, scale in columns.values():
            value, ours = figures.get(key), base.get(key)
            if value is None:
                cells.append("-")
                continue
            by_driver = key == "publishes_per_sec" and figures["driver_cpu"] >= DRIVER_BUSY_CORES
            ratio = f" ({value / ours:.2f}x)" if ours else ""
            cells.append(f"{'>' if by_driver else ''}{value * scale:,.2f}{ratio}")
        lines.append(f"{name:26}" + "".join(f"{cell:>21}" for cell in cells))
    lines += [
        "",
        "> : the load had its core busy and set the pace.",
        "CPU of a publish is with its delivery to one reader.",
    ]
    if left_out := [f"  {n}, {note}" for n, one in measured.items() for note in one.notes]:
        lines += ["", "Left out:", *left_out]
    lines += ["", "What each does not do that pychat does:", *(f"  {n}: {lacks[n]}" for n in measured if lacks[n])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
