"""Times as version 2 writes them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(time: datetime) -> str:
    """With milliseconds, in UTC."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def time_of(message_id: int) -> datetime:
    """When a message was sent: its id is that in microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=message_id)
