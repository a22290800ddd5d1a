"""Reading what the monitor shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import Server


@dataclass(frozen=True)
class Scrape:
    """One answer in Prometheus's format."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    types: Mapping[str, str]

    @classmethod
    def of(cls, server: Server, **query: str) -> Scrape:
        return cls.parsed(scrape_text(server, **query))

    @classmethod
    def parsed(cls, text: str) -> Scrape:
        families = list(text_string_to_metric_families(text))
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
        types = {
            f"{family.name}_total" if family.type == "counter" else family.name: family.type for family in families
        }
        return cls(samples, types)

    def value(self, name: str, **labels: str) -> float:
        """Of the series with exactly these labels; 0 where there is none yet."""
        return self.samples.get((name, frozenset(labels.items())), 0)

    def buckets(self, name: str, **labels: str) -> dict[str, float]:
        """Of the histogram with exactly these labels: bound to cumulated count."""
        buckets = {}
        for (sample, given), value in self.samples.items():
            found = dict(given)
            if sample == f"{name}_bucket" and {**labels, "le": found["le"]} == found:
                buckets[found["le"]] = value
        return buckets


def scrape_text(server: Server, **query: str) -> str:
    answer = server.monitor("GET", "/service/monitor", params=query)
    assert answer.status_code == 200, answer.text
    return answer.text
