"""What the dynamic-config service accepts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Raw

from pychat.dynconf.protocol import DEFAULT_SERVICE
from pychat.dynconf.schemas import KEYS, DynamicConfigError, parse_value
from pychat.errors import Refused

MAX_BODY_BYTES = 500_000
"""Far more than the configs of a service, and so much less than is read from the wire that who exceeds it is told."""

LONGEST_NAME = 200
"""Characters of a service's or config's name: the database's index takes little more."""


def check_names(names: Sequence[str]) -> None:
    """Raises:
    Refused: 400, one of the names is empty or too long, or has what Postgres has no text for.
    """
    if not all(1 <= len(name) <= LONGEST_NAME and "\0" not in name for name in names):
        raise Refused(400, f"The name of a config or service has 1 to {LONGEST_NAME} characters, none of them NUL")


def check_values(values: Mapping[str, Raw], service: str, own_service: str) -> None:
    """Our own keys hold only what we can put in force, where they are meant for us; other services know their own.

    Raises:
        Refused: 400, naming each key and field at fault.
    """
    if service not in (own_service, DEFAULT_SERVICE):
        return
    faults = []
    for name in values.keys() & KEYS.keys():
        try:
            parse_value(name, values[name])
        except DynamicConfigError as error:
            faults.append(str(error))
    if faults:
        raise Refused(400, "; ".join(sorted(faults)))


def parse_time(text: str) -> datetime:
    """An ISO 8601 time; one without an offset is UTC.

    Raises:
        Refused: 400.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "Field 'updated_since' is not an ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
