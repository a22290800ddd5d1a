"""Metrics as bytes: Prometheus's text, and the JSON of the original server."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from prometheus_client import generate_latest
from prometheus_client.core import Metric, Sample
from prometheus_client.registry import Collector

from pychat.monitor.metrics import breathe

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The original's names have dots in the place of all underscores but the first, and but those in these words.
_WORDS = ("per_user", "queue_wait_latency", "send_overhead", "resync_required")
_JSON_TYPES = {"counter": "RATE", "gauge": "GAUGE", "histogram": "HIST_RATE"}

SAMPLES_A_BREATH = 50
"""Written in some tenths of a millisecond."""


def as_prometheus(metrics: Iterable[Metric], prefix: str, labels: Mapping[str, str]) -> bytes:
    """Those whose name begins with `prefix`, in which a dot counts as an underscore, and whose labels have these
    values."""
    prefix = prefix.replace(".", "_")
    wanted = (metric for metric in metrics if _name(metric).startswith(prefix))
    return b"".join(generate_latest(_Alone(metric)) for metric in _labelled(wanted, labels))


def as_json(metrics: Iterable[Metric], prefix: str, labels: Mapping[str, str]) -> bytes:
    """Those whose dotted name begins with `prefix` and whose labels have these values, as
    `{name: [{"value", "labels", "type"}]}`.

    A counter's type is `RATE`, a gauge's `GAUGE`. A histogram's is `HIST_RATE`, and its value an object: `bounds`,
    `buckets` with each one's own count, `inf` with what is above the last bound, and `sum`.
    """
    wanted = (metric for metric in metrics if dotted(_name(metric)).startswith(prefix))
    answer = {dotted(_name(metric)): list(_values(metric)) for metric in _labelled(wanted, labels)}
    return msgspec.json.encode({name: values for name, values in answer.items() if values})


def dotted(name: str) -> str:
    """What the original server calls the metric of this name."""
    first, _, rest = name.partition("_")
    for word in _WORDS:
        rest = rest.replace(word, word.replace("_", " "))
    return f"{first}_{rest.replace('_', '.').replace(' ', '_')}"


def _name(metric: Metric) -> str:
    """Its whole name: the library knows a counter without its ending."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labelled(metrics: Iterable[Metric], labels: Mapping[str, str]) -> Iterator[Metric]:
    for metric in metrics:
        metric.samples = [sample for sample in metric.samples if labels.items() <= sample.labels.items()]
        if metric.samples:
            yield metric


class _Alone(Collector):
    """One metric, whose samples are not gone through in one breath."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._samples = metric.samples

    def collect(self) -> Iterator[Metric]:
        self._metric.samples = self  # type: ignore[assignment] # it is only gone through
        yield self._metric

    def __iter__(self) -> Iterator[Sample]:
        for number, sample in enumerate(self._samples):
            if number % SAMPLES_A_BREATH == 0:
                breathe()
            yield sample


def _values(metric: Metric) -> Iterator[dict[str, Any]]:
    kind = _JSON_TYPES[metric.type]
    breathe()
    if metric.type != "histogram":
        for sample in metric.samples:
            yield {"value": _number(sample.value), "labels": sample.labels, "type": kind}
        return
    histogram: dict[str, Any] = {"bounds": [], "buckets": []}
    below = 0
    for sample in metric.samples:
        if sample.name.endswith("_sum"):
            # The last sample of a label set.
            yield {"value": {**histogram, "sum": _number(sample.value)}, "labels": sample.labels, "type": kind}
            histogram, below = {"bounds": [], "buckets": []}, 0
        elif sample.name.endswith("_bucket"):
            own, below = int(sample.value) - below, int(sample.value)
            if sample.labels["le"] == "+Inf":
                histogram["inf"] = own
            else:
                histogram["bounds"].append(_number(float(sample.labels["le"])))
                histogram["buckets"].append(own)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
