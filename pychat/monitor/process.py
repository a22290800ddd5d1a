"""`process_*`, by the names that Prometheus's clients share.

The Python client's own collector goes through the open files with the GIL in hand and without it by turns, one by one:
with many connections, and a busy event loop, that takes longer than a scrape may.
"""

import os
import resource
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pychat._core import open_files

_PAGE_BYTES = resource.getpagesize()


def process_metrics() -> Iterator[Metric]:
    """This process's."""
    fields = _stat()
    virtual_bytes, resident_pages = (int(field) for field in fields[20:22])
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield CounterMetricFamily("process_cpu_seconds", "User and system time, of all threads.", value=time.process_time())
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory in RAM.", value=resident_pages * _PAGE_BYTES)
    yield GaugeMetricFamily("process_virtual_memory_bytes", "Address space.", value=virtual_bytes)
    yield GaugeMetricFamily("process_start_time_seconds", "When the process started, Unix time.", value=_started_at())
    yield GaugeMetricFamily("process_open_fds", "Open files, connections included.", value=open_files())
    yield GaugeMetricFamily("process_max_fds", "Files that may be open.", value=files)


def _stat() -> list[str]:
    """The fields of proc(5) from the third on: the second is the name in parentheses, which may hold spaces."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()


@cache
def _started_at() -> float:
    """Found once: a value that changes, be it by a microsecond, says that the process was started again."""
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_at + int(_stat()[19]) / os.sysconf("SC_CLK_TCK")
