"""What a message's id may be."""

HIGHEST_ID = 2**63 - 1
"""That Postgres can hold: above every message's."""


def number_of(message_id: str) -> int:
    """The number that a `MessageId` writes. One that is too high for any message stands behind them all."""
    return min(int(message_id), HIGHEST_ID)
