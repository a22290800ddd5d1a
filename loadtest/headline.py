"""The figures that pychat is held to, one by one: `python -m loadtest.headline [NAME ...]`.

Server, Postgres and load share all cores; each figure is measured twice, without history (volatile) and with it
(durable). Only the volatile one must hold.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from benches.process import pinned
from loadtest.compare import CONNECTIONS, PAIRS
from loadtest.driver_process import Driven, Unsound, drive
from loadtest.peers import peers

OUT: Final = Path(__file__).with_name("results") / "headline"
VOLATILE, DURABLE, CENTRIFUGE = "pychat, volatile", "pychat, durable", "centrifuge (Go library)"


class Headline(NamedTuple):
    what: str
    unit: str
    must: float
    options: Mapping[str, Any]  # the driver's
    figure: Callable[[Mapping[str, Any]], float]  # of the driver's report
    at_least: bool = False

    def holds(self, measured: float) -> bool:
        return measured >= self.must if self.at_least else measured <= self.must


HEADLINES: Final[Mapping[str, Headline]] = {
    "requests": Headline(
        "sends and answered polls a second, held for a minute",
        "",
        30_000,
        # A reader to each sender, so many that nearly every message is fetched by a poll of its own.
        {"rate": 15_500, "senders": 200, "connections": 128, "duration": 60},
        lambda report: report["sends"]["per_sec"] + report["polls_per_sec"],
        at_least=True,
    ),
    "sends": Headline(
        "a send's answer at 10,000/s with 1,000 held polls, p98",
        "ms",
        3.0,
        {"rate": 10_000, "idle_polls": 1_000, "duration": 20},
        lambda report: report["sends"]["ms"]["p98"],
    ),
    "delivery": Headline(
        "from a send to the poll's answer at 5,000/s with 1,000 held polls, p99",
        "ms",
        2.0,
        {"rate": 5_000, "idle_polls": 1_000, "duration": 20},
        lambda report: report["delivery_ms"]["p99"],
    ),
    "held": Headline(
        "the same at 1,000/s with 18,000 held polls, p99",
        "ms",
        10.0,
        # As long as a poll is held: from then on 600 a second end and are begun again.
        {"rate": 1_000, "idle_polls": 18_000, "warm_up": 30, "duration": 20},
        lambda report: report["delivery_ms"]["p99"],
    ),
}
CPU_MUST: Final = 0.5


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, type=click.Choice([*HEADLINES, "cpu"]))
@click.option("--only", type=click.Choice(["volatile", "durable"]), help="Without the other.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(names: tuple[str, ...], only: str | None, out: Path) -> None:
    """Measures the figures named (all by default), prints each beside what it must be, and writes NAME.json.

    Exits with 1 where one does not hold, or not all went as was asked.
    """
    out.mkdir(parents=True, exist_ok=True)
    holds = True
    for name in names or (*HEADLINES, "cpu"):
        reports = _cpu() if name == "cpu" else _measure(name, only)
        (out / f"{'-'.join(filter(None, [name, only]))}.json").write_text(json.dumps(reports, indent=2) + "\n")
        holds &= reports["holds"]
    sys.exit(0 if holds else 1)


def _measure(name: str, only: str | None) -> dict[str, Any]:
    headline = HEADLINES[name]
    click.echo(f"{name}: {headline.what}, must be at {'least' if headline.at_least else 'most'} {headline.must:,g}")
    reports: dict[str, Any] = {"holds": only == "durable"}
    for kind in (VOLATILE, DURABLE):
        if only and not kind.endswith(only):
            continue
        fault, others = "", "?"
        try:
            driven = _drive(kind, **{"connections": CONNECTIONS, "senders": PAIRS, **headline.options})
            report, others = driven.report, f"{driven.others_cores:.2f}"
        except Unsound as unsound:
            report, fault = unsound.report, str(unsound)
        reports[kind] = report
        measured = headline.figure(report)
        click.echo(f"  {kind:18}{measured:10,.2f} {headline.unit:3} ({_beside(report)}, all else {others})")
        if fault:
            click.echo(f"  not sound: {fault}")
        if kind == VOLATILE:
            reports["holds"] = not fault and headline.holds(measured)
            click.echo(f"  {'holds' if reports['holds'] else 'DOES NOT HOLD'}")
    return reports


def _beside(report: Mapping[str, Any]) -> str:
    """What a reader of the figure must know."""
    sends, delivery, late = report["sends"]["ms"], report["delivery_ms"], report["lateness_ms"]
    return ", ".join(
        [
            f"{report['sends']['per_sec']:,.0f} sends/s",
            f"answered p50 {sends['p50']:.2f} p98 {sends['p98']:.2f} p99.9 {sends['p99.9']:.2f}",
            f"delivered p50 {delivery['p50']:.2f} p99 {delivery['p99']:.2f}",
            f"lost {report['lost']}, doubled {report['doubled']}",
            f"begun late p99 {late['p99']:.2f}; cores: the driver {report['driver_cpu']:.2f}",
        ]
    )


def _cpu() -> dict[str, Any]:
    """The CPU time of a send on one core, the load on the other, beside that of a publish with as many checks."""
    click.echo(
        f"cpu: CPU time of a volatile send against a publish of the centrifuge library, must be at most {CPU_MUST}"
    )
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This needs two cores: one for the server, one for the load.")
    load = {"saturate": True, "connections": CONNECTIONS, "senders": PAIRS, "duration": 10, "core": cores[1]}
    costs: dict[str, Any] = {}
    for kind in (VOLATILE, DURABLE, CENTRIFUGE):
        with pinned({cores[0]}):
            driven = _drive(kind, **load)
        costs[kind] = driven.cpu_us_per_send
        click.echo(f"  {kind:26}{driven.cpu_us_per_send:8.2f} us, {driven.report['sends']['per_sec']:,.0f} a second")
    ratio = costs[VOLATILE] / costs[CENTRIFUGE]
    click.echo(f"  {ratio:.2f} times: {'holds' if ratio <= CPU_MUST else 'DOES NOT HOLD'}")
    return {"holds": ratio <= CPU_MUST, "ratio": ratio, "cpu_us_per_send": costs}


def _drive(kind: str, **options: Any) -> Driven:
    peer = next(peer for peer in peers() if peer.name == kind)
    if peer.missing:
        raise click.ClickException(f"{kind} needs {peer.missing}")
    with peer.started() as started:
        return drive(
            started.url, started.process, **{**peer.driver_options, **options}, environment=started.environment
        )


if __name__ == "__main__":
    main()
