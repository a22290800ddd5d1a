"""Draws the pictures; every chart of the load tests looks like these."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from loadtest.history import Moment
from loadtest.sampler import Sample

if TYPE_CHECKING:
    from loadtest.scaling import Series

WIDTH_IN, PANEL_IN = 9.0, 2.1
STYLE = Path(__file__).with_suffix(".mplstyle")


def draw_run(
    file: Path,
    title: str,
    everything: Sequence[Moment],
    sends: Sequence[Moment],
    deliveries: Sequence[Moment],
    samples: Mapping[str, Sequence[Sample]],
) -> None:
    """One load test over time: throughput, latencies, users, CPU and memory, one above the other."""
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(6, 1, sharex=True, figsize=(WIDTH_IN, 6 * PANEL_IN), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        users, rate, sending, delivering, cpu, memory = panels
        users.fill_between([m.second for m in everything], [m.users for m in everything], alpha=0.3)
        _label(users, "people online")
        rate.plot([m.second for m in everything], [m.per_second for m in everything], label="requests/s")
        rate.plot([m.second for m in everything], [m.failed_per_second for m in everything], "C2", label="failed/s")
        _label(rate, "throughput, a second", legend=True)
        for panel, moments, name in ((sending, sends, "send"), (delivering, deliveries, "delivery, end to end")):
            for percentile in ("p50_ms", "p95_ms", "p99_ms"):
                points = [(m.second, value) for m in moments if (value := getattr(m, percentile)) is not None]
                panel.plot(*zip(*points, strict=True) if points else ([], []), label=percentile.removesuffix("_ms"))
            _label(panel, f"{name}: latency, ms", legend=True)
        for name, process in samples.items():
            cpu.plot([s.second for s in process], [s.cores for s in process], label=name)
            memory.plot([s.second for s in process], [s.memory_bytes / 2**20 for s in process], label=name)
        _label(cpu, "CPU, cores", legend=True)
        _label(memory, "memory, MiB", legend=True)
        memory.set_xlabel("seconds")
        figure.savefig(file)
        plt.close(figure)


def _label(panel: Axes, title: str, legend: bool = False) -> None:
    panel.set_title(title)
    # Room above the lines for the legend.
    panel.set_ylim(0, panel.get_ylim()[1] * (1.25 if legend else 1))
    if legend:
        panel.legend(loc="upper left", ncols=3)


def draw_comparison(file: Path, measured: Mapping[str, Mapping[str, float | None]]) -> None:
    """Bars for each server side by side: cost of a publish, delivery latency, memory of a held connection."""
    panels = {
        "CPU time of a publish, µs": ("cpu_us_per_publish", 1.0),
        "delivery at 1,000/s, p99, ms": ("delivery_p99_ms_at_1000", 1.0),
        "delivery at 5,000/s, p99, ms": ("delivery_p99_ms_at_5000", 1.0),
        "memory of a held connection, KiB": ("bytes_per_held_connection", 1 / 1024),
    }
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH_IN * 1.2, 6.5), layout="constrained")
        figure.suptitle(
            "pychat beside others: one core for the server, the load on another; shorter is better",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        for panel, (title, (key, scale)) in zip(axes.flat, panels.items(), strict=True):
            values = {
                name: value * scale for name, figures in measured.items() if (value := figures.get(key)) is not None
            }
            names = list(reversed(values))
            bars = panel.barh(names, [values[name] for name in names], color=[_colour(name) for name in names])
            panel.bar_label(bars, fmt=_three_digits, padding=4)
            # The bars say it.
            panel.grid(visible=False)
            panel.xaxis.set_visible(False)
            panel.spines.bottom.set_visible(False)
            panel.tick_params(left=False)
            panel.set_title(title)
            panel.margins(x=0.15)
        figure.savefig(file)
        plt.close(figure)


def _colour(name: str) -> str:
    """Ours stand out; those that do nothing but answer stand back."""
    if name.startswith("pychat"):
        return "#2563eb" if "volatile" in name else "#60a5fa"
    return "#e5e7eb" if "bare" in name else "#9ca3af"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw_scaling(file: Path, series: "Sequence[Series]", *, durable: bool) -> None:
    """The cost of a send along each line, measured beside expected."""
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(2, 3, figsize=(WIDTH_IN * 1.3, 6.5), layout="constrained")
        kind = "durable" if durable else "volatile"
        figure.suptitle(f"What a {kind} send costs the server: CPU time, µs", x=0.01, ha="left", fontweight="bold")
        for panel, (title, unit, points, expected) in zip(axes.flat, series, strict=False):
            places = [point.at for point in points]
            panel.plot(places, [point.cpu_us_per_send for point in points], "o-", label="measured", zorder=3)
            panel.plot(places, expected, "C5--", label="expected")
            panel.set_xlabel(unit)
            panel.set_title(title)
            if places[-1] / places[0] >= 10:
                panel.set_xscale("log")
            panel.set_xticks(places, [_short(place) for place in places])
            panel.xaxis.minorticks_off()
            if max(expected) / min(expected) >= 10:
                panel.set_yscale("log")
                panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            else:
                panel.set_ylim(0, panel.get_ylim()[1] * 1.1)
        for panel in axes.flat[len(series) :]:
            panel.axis("off")
            panel.legend(*axes.flat[0].get_legend_handles_labels(), loc="upper left")
        figure.savefig(file)
        plt.close(figure)


def _short(number: float) -> str:
    return f"{number / 1_000:,.3g}k" if number >= 1_000 else f"{number:g}"
