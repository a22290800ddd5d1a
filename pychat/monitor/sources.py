"""Where the metrics come from: each source gives whole families and may be called from any thread."""

import platform
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from pychat._core import Core, Edge, Requests, __version__
from pychat.database.pool import Database
from pychat.dynconf.current import CurrentConfig
from pychat.monitor.metrics import add_histogram, breathe
from pychat.tasks import Task

MICROSECONDS = 1e6


def hub_metrics(core: Core) -> Iterator[Metric]:
    """`chat_*`: the contract's."""
    for name, help_, value in core.numbers():
        family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        yield family(name, help_, value=value)
    breathe()
    for name, help_, bounds, counts, total in core.histograms():
        histogram = HistogramMetricFamily(name, help_)
        add_histogram(histogram, [], bounds, counts, total)
        yield histogram


def request_metrics(requests: Requests) -> Iterable[Metric]:
    """`http_*`, by route template."""
    total = CounterMetricFamily("http_requests", "Requests answered.", labels=["method", "route", "status"])
    duration = HistogramMetricFamily(
        "http_request_duration_seconds",
        "From a request to the beginning of its answer; of a poll that is mostly its wait.",
        labels=["method", "route"],
    )
    for method, route, statuses, bounds, counts, sum_us in requests.counts():
        for status, count in statuses:
            total.add_metric([method, route, str(status)], count)
        if statuses:
            seconds = [bound / MICROSECONDS for bound in bounds]
            add_histogram(duration, [method, route], seconds, counts, sum_us / MICROSECONDS)
        breathe()
    return total, duration


def edge_metrics(edge: Edge) -> Iterable[Metric]:
    """The native front."""
    refusals = CounterMetricFamily(
        "pychat_edge_refusals",
        "Connections and requests that were turned away, by reason.",
        labels=["reason"],
    )
    for reason, count in edge.refusals().items():
        refusals.add_metric([reason], count)
    yield refusals
    yield _gauge("pychat_edge_open_connections", "Public connections open.", edge.open_connections)


def database_metrics(database: Database) -> Iterable[Metric]:
    """The pool of connections."""
    pool = database.pool_state()
    yield _gauge("pychat_database_up", "Whether the database answered when it was last asked.", int(not pool.is_away))
    yield _gauge("pychat_database_pool_max_connections", "Connections that the pool may have.", pool.max_size)
    yield _gauge("pychat_database_pool_connections", "Connections that the pool has.", pool.size)
    yield _gauge("pychat_database_pool_in_use_connections", "Connections in use.", pool.in_use)
    yield _gauge("pychat_database_pool_waiting", "Requests that wait for a connection.", pool.waiting)
    yield CounterMetricFamily(
        "pychat_database_failures", "Statements that the database did not answer.", value=pool.failures
    )


def config_metrics(config: CurrentConfig) -> Iterable[Metric]:
    """The dynamic config in force."""
    info = GaugeMetricFamily("pychat_dynamic_config_info", "Where the dynamic config is from.", labels=["source"])
    info.add_metric([config.source], 1)
    yield info
    yield _gauge(
        "pychat_dynamic_config_age_seconds", "Since the source of the dynamic config last answered.", config.age_sec
    )
    yield _gauge(
        "pychat_dynamic_config_refused_keys", "Keys whose value is invalid and ignored now.", len(config.refused)
    )
    yield CounterMetricFamily(
        "pychat_dynamic_config_invalid", "Invalid values that were read and ignored.", value=config.invalid_total
    )


def task_metrics(tasks: Mapping[str, Task]) -> Iterable[Metric]:
    """The background tasks."""
    runs = CounterMetricFamily("pychat_task_runs", "Runs that are over.", labels=["task", "outcome"])
    at = GaugeMetricFamily("pychat_task_last_run_timestamp_seconds", "When the last run began.", labels=["task"])
    took = GaugeMetricFamily("pychat_task_last_run_duration_seconds", "How long the last run took.", labels=["task"])
    success = GaugeMetricFamily(
        "pychat_task_last_success_timestamp_seconds", "When the last run began that went through.", labels=["task"]
    )
    for task in tasks.values():
        for outcome, count in task.runs.items():
            runs.add_metric([task.name, outcome], count)
        if (run := task.last_run) is not None:
            at.add_metric([task.name], run.began_at.timestamp())
            took.add_metric([task.name], run.took_sec)
        if task.last_success is not None:
            success.add_metric([task.name], task.last_success.began_at.timestamp())
    return runs, at, took, success


def build_info() -> Iterable[Metric]:
    """What runs."""
    info = GaugeMetricFamily("pychat_build_info", "What runs; the value is always 1.", labels=["version", "python"])
    info.add_metric([__version__, platform.python_version()], 1)
    yield info


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)
