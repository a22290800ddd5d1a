"""`make compare`: pychat beside what one would use instead, in one go on the same two cores."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from benches.process import pinned
from loadtest.charts import draw_comparison
from loadtest.driver_process import Driven, drive
from loadtest.peers import Peer, Started, peers
from loadtest.sampler import resident_bytes

OUT: Final = Path(__file__).with_name("results") / "compare"
PAIRS: Final = 50
CONNECTIONS: Final = 64
RATES: Final = (1_000, 5_000)
HELD_WHILE_DELIVERING: Final = 1_000
# Enough that what a server takes at its start does not count.
HELD_FOR_MEMORY: Final = 5_000

Figures = dict[str, float | None]


@click.command()
@click.option("--seconds", default=8, show_default=True, type=click.IntRange(3, 600), help="Of each measurement.")
@click.option("--only", multiple=True, help="Only peers whose name begins so; may be given several times.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(seconds: int, only: tuple[str, ...], out: Path) -> None:
    """Measures each server on one core, the load on another: what a publish costs, how long a delivery takes,
    what a held connection weighs.

    Prints a table, and writes compare.json and compare.png. Peers that cannot run here are named and left out.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This needs two cores: one for the server, one for the load.")
    measured: dict[str, Figures] = {}
    chosen = [peer for peer in peers() if not only or peer.name.startswith(only)]
    for peer in chosen:
        if peer.missing:
            click.echo(f"{peer.name}: left out, since {peer.missing} is not installed")
            continue
        click.echo(f"{peer.name} ...")
        with pinned({cores[0]}), peer.started() as started:
            os.sched_setaffinity(0, set(cores))
            measured[peer.name] = _measure(peer, started, cores[1], seconds)
    out.mkdir(parents=True, exist_ok=True)
    lacks = {peer.name: peer.lacks for peer in chosen}
    (out / "compare.json").write_text(json.dumps({"figures": measured, "lacks": lacks}, indent=2) + "\n")
    click.echo(_table(measured, lacks))
    draw_comparison(out / "compare.png", measured)
    click.echo(f"picture: {out / 'compare.png'}")


def _measure(peer: Peer, started: Started, core: int, seconds: int) -> Figures:
    common: dict[str, Any] = {"core": core, "senders": PAIRS, "connections": CONNECTIONS, **peer.driver_options}

    def driven(**options: Any) -> Driven:
        return drive(started.url, started.process, environment=started.environment, **common, **options)

    saturated = driven(saturate=True, duration=seconds)
    figures: Figures = {
        "publishes_per_sec": saturated.report["sends"]["per_sec"],
        "cpu_us_per_publish": saturated.cpu_us_per_send,
    }
    if not peer.delivers:
        return figures
    for rate in RATES:
        paced = driven(rate=rate, duration=seconds, idle_polls=HELD_WHILE_DELIVERING)
        for percentile in ("p50", "p99"):
            figures[f"delivery_{percentile}_ms_at_{rate}"] = paced.report["delivery_ms"][percentile]
        figures[f"lost_at_{rate}"] = paced.report["lost"]
    before = resident_bytes(started.process)
    held = driven(rate=10, duration=3, idle_polls=HELD_FOR_MEMORY)
    figures["bytes_per_held_connection"] = (held.memory_bytes - before) / HELD_FOR_MEMORY
    return figures


def _table(measured: dict[str, Figures], lacks: dict[str, str]) -> str:
    """Each figure with its ratio to pychat's volatile one."""
    columns = {
        "publishes/s": ("publishes_per_sec", 1.0),
        "CPU us": ("cpu_us_per_publish", 1.0),
        **{f"p{p} ms at {r:,}/s": (f"delivery_p{p}_ms_at_{r}", 1.0) for r in RATES for p in (50, 99)},
        "KiB held": ("bytes_per_held_connection", 1 / 1024),
    }
    base = next(iter(measured.values()), {})
    lines = [f"{'':26}" + "".join(f"{head:>21}" for head in columns)]
    for name, figures in measured.items():
        cells = []
        for key, scale in columns.values():
            value, ours = figures.get(key), base.get(key)
            if value is None:
                cells.append("-")
            else:
                ratio = f" ({value / ours:.2f}x)" if ours else ""
                cells.append(f"{value * scale:,.2f}{ratio}")
        lines.append(f"{name:26}" + "".join(f"{cell:>21}" for cell in cells))
    lines += ["", "What each does not do that pychat does:", *(f"  {n}: {lacks[n]}" for n in measured if lacks[n])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
