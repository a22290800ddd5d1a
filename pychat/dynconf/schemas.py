"""The keys of the dynamic config, their fields, defaults and ranges."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field

if TYPE_CHECKING:
    from pychat._core import Core

# The original server misspells one key; existing deployments write it so.
MISSPELLED = {"SEND_LIMITER_CONFIG": "SEND_LIMTIER_CONFIG"}

Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]


class DynamicConfigError(Exception):
    """A value that cannot be put in force; the message names key, field and what was expected."""


class Polling(Struct, frozen=True):
    max_size: Annotated[int, Meta(ge=1, le=10_000)] = 100  # messages a poll
    polling_time_sec: Annotated[int, Meta(ge=0, le=3_600)] = 30  # 0: answer at once


class Registry(Struct, frozen=True):
    max_users_amount: Count = 100_000  # online at a time


class Queue(Struct, frozen=True):
    max_queue_size: Count = 1_000  # messages a session
    max_queue_bytes: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000  # bytes a session


class Sessions(Struct, frozen=True):
    idle_timeout_sec: Annotated[int, Meta(ge=1, le=86_400)] = 60
    max_sessions_amount: Annotated[int, Meta(ge=0, le=10_000)] = 5  # a user


class SendLimiter(Struct, frozen=True):
    is_enabled: bool = True
    token_refill_amount: Count = 5  # tokens a second
    max_rps_per_user: Count = 10  # the burst
    idle_timeout_sec: Seconds = 5


class GcTask(Struct, frozen=True):
    is_enabled: bool = True
    period_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 2
    inter_shard_pause_ms: Annotated[int, Meta(ge=0, le=10_000)] = 100  # after a shard that had sessions to close


class History(Struct, frozen=True):
    is_enabled: bool = True  # off: messages are only live, none is stored
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0  # 0: for ever; older ones go by the week
    max_pending: Annotated[int, Meta(ge=1, le=1_000_000)] = (
        10_000  # messages that wait to be stored: 0.2 s at peak rate
    )


class DynamicConfig(Struct, frozen=True):
    """One whole snapshot. A key or a field that is not given has its default; unknown ones are ignored."""

    polling: Polling = field(default_factory=Polling, name="POLLING_CONFIG")
    registry: Registry = field(default_factory=Registry, name="REGISTRY_CONFIG")
    queue: Queue = field(default_factory=Queue, name="QUEUE_CONFIG")
    sessions: Sessions = field(default_factory=Sessions, name="SESSIONS_CONFIG")
    send_limiter: SendLimiter = field(default_factory=SendLimiter, name="SEND_LIMITER_CONFIG")
    gc_task: GcTask = field(default_factory=GcTask, name="GC_TASK_CONFIG")
    history: History = field(default_factory=History, name="HISTORY_CONFIG")

    def apply(self, core: "Core") -> None:
        """Puts the snapshot in force, from the next request on."""
        core.apply_settings(
            polling_max_size=self.polling.max_size,
            polling_time_sec=self.polling.polling_time_sec,
            max_users_amount=self.registry.max_users_amount,
            max_queue_size=self.queue.max_queue_size,
            max_queue_bytes=self.queue.max_queue_bytes,
            session_idle_timeout_sec=self.sessions.idle_timeout_sec,
            max_sessions_amount=self.sessions.max_sessions_amount,
            limiter_is_enabled=self.send_limiter.is_enabled,
            limiter_token_refill_amount=self.send_limiter.token_refill_amount,
            limiter_max_rps_per_user=self.send_limiter.max_rps_per_user,
            limiter_idle_timeout_sec=self.send_limiter.idle_timeout_sec,
            history_is_enabled=self.history.is_enabled,
            history_max_pending=self.history.max_pending,
        )


_FIELDS = {info.encode_name: info for info in msgspec.structs.fields(DynamicConfig)}

KEYS = {name: info.type for name, info in _FIELDS.items()}
KEYS |= {misspelled: KEYS[correct] for correct, misspelled in MISSPELLED.items()}
"""Every name that a value of ours may stand under, and what it then is."""


def parse_value(key: str, value: Raw) -> Struct:
    """What `value` means under `key`, one of `KEYS`.

    Raises:
        DynamicConfigError: it is invalid.
    """
    try:
        parsed: Struct = msgspec.json.decode(value, type=KEYS[key])
    except msgspec.ValidationError as error:
        raise DynamicConfigError(told(error, key)) from None
    except (ValueError, RecursionError) as error:
        raise DynamicConfigError(f"{key}: not JSON that can be read: {error}") from None
    return parsed


def told(error: msgspec.ValidationError, what: str = "") -> str:
    """What is wrong, as `key.field: expected ...`; `what` was being read."""
    reason, _, path = str(error).partition(" - at `$")
    where = f"{what}{path.rstrip('`')}".lstrip(".")
    return f"{where}: {reason[:1].lower()}{reason[1:]}" if where else reason


def merge(
    values: Mapping[str, Raw], *, absent: DynamicConfig, invalid: DynamicConfig
) -> tuple[DynamicConfig, dict[str, str]]:
    """The snapshot that `{key: {field: value}}` describes, and the keys with an invalid value, each with the reason.

    A key that is not given is taken from `absent`, one whose value is invalid from `invalid`.
    """
    chosen: dict[str, object] = {}
    refused: dict[str, str] = {}
    for key, info in _FIELDS.items():
        given = next((name for name in (key, MISSPELLED.get(key)) if name in values), None)
        if given is None:
            chosen[info.name] = getattr(absent, info.name)
            continue
        try:
            chosen[info.name] = parse_value(given, values[given])
        except DynamicConfigError as error:
            refused[given] = str(error)
            chosen[info.name] = getattr(invalid, info.name)
    return DynamicConfig(**chosen), refused  # type: ignore[arg-type] # each by its field's own type


def keys_of(values: Iterable[str]) -> set[str]:
    """Those of our keys that stand among `values`, in whatever spelling."""
    return {key for key in _FIELDS if {key, MISSPELLED.get(key)} & set(values)}


def parse_dynamic_config(values: Mapping[str, Raw]) -> DynamicConfig:
    """The snapshot that `{key: {field: value}}` describes.

    Raises:
        DynamicConfigError: a known key holds an invalid value.
    """
    defaults = DynamicConfig()
    config, refused = merge(values, absent=defaults, invalid=defaults)
    if refused:
        raise DynamicConfigError("; ".join(refused.values()))
    return config
