"""What the dynamic-config service and its clients say to each other. A value is any JSON, kept as the text that it
came in. And how a server tells what it goes by."""

from datetime import datetime

from msgspec import UNSET, Raw, Struct, UnsetType

from pychat.dynconf.schemas import DynamicConfig

DEFAULT_SERVICE = "__default__"
"""Whose values hold for every service that has none of its own."""


class InForce(Struct):
    """What a running server goes by. `source` spoke last, `age_sec` ago; it has values of the keys `given`, the others
    are the fallback's. Of those in `refused` an earlier value stays, for the reason."""

    config: DynamicConfig
    source: str
    age_sec: float
    given: list[str]
    refused: dict[str, str]


class ValuesBody(Struct):
    ids: list[str] | None = None
    updated_since: str | None = None
    service: str | None = None


class ValuesAnswer(Struct):
    """`removed` comes with `updated_since` alone."""

    configs: dict[str, Raw]
    updated_at: datetime
    removed: list[str] | UnsetType = UNSET


class ConfigsBody(Struct):
    configs: dict[str, Raw] | None = None
    service: str | None = None


class DeletionBody(Struct):
    ids: list[str] | None = None
    service: str | None = None
