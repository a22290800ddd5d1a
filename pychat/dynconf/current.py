"""The dynamic config in force: one snapshot, replaced whole."""

import time
from collections.abc import Mapping, Set

import structlog
from msgspec import Raw

from pychat._core import Core
from pychat.dynconf.schemas import DynamicConfig, keys_of, merge

log = structlog.get_logger("pychat.dynconf")


class CurrentConfig:
    """Holds the snapshot that the whole process goes by. Who reads `value` again meets a change; who keeps what it
    read is not disturbed by one."""

    def __init__(self, core: Core, fallback: DynamicConfig) -> None:
        """`fallback` is in force until a source has spoken, and for the keys that a source has no value of."""
        self._core = core
        self._fallback = fallback
        self._value = fallback
        self._source = "fallback"
        self._heard_at = time.monotonic()
        self._given: set[str] = set()
        self._refused: dict[str, str] = {}
        self._invalid_total = 0
        fallback.apply(core)

    @property
    def value(self) -> DynamicConfig:
        return self._value

    @property
    def source(self) -> str:
        """Who spoke last: `fallback`, `database`, `service` or `cache`."""
        return self._source

    @property
    def age_sec(self) -> float:
        """Since that source spoke last: small while it answers, growing while it is away."""
        return time.monotonic() - self._heard_at

    @property
    def given(self) -> Set[str]:
        """The keys that the source has a value of; the others are the fallback's."""
        return self._given

    @property
    def invalid_total(self) -> int:
        """How many invalid values were met and ignored; one that stays where it is counts once."""
        return self._invalid_total

    @property
    def refused(self) -> Mapping[str, str]:
        """The keys whose value is invalid and ignored now, each with the reason."""
        return self._refused

    def take(self, values: Mapping[str, Raw], source: str, age_sec: float = 0.0) -> None:
        """Puts in force, from the next request on, all that `source` holds by now, or held `age_sec` ago: `{key:
        {field: value}}`. Where a value is invalid, the last good one stays."""
        value, refused = merge(values, absent=self._fallback, invalid=self._value)
        for key, reason in refused.items():
            if self._refused.get(key) != reason:
                self._invalid_total += 1
                log.warning("an invalid dynamic config is ignored; the last good one stays", source=source, why=reason)
        self._refused = refused
        if value != self._value:
            value.apply(self._core)
            self._value = value
            log.info("the dynamic config has changed", source=source)
        self._given = keys_of(values)
        self._source = source
        self._heard_at = time.monotonic() - age_sec
