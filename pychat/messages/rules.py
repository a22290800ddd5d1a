"""What a message's id may be, and how much of the past there is on one page."""

from asyncpg import Record

HIGHEST_ID = 2**63 - 1
"""That Postgres can hold: above every message's."""

PAGE_TEXT = 65_536
"""Code points of all texts of a page: 256 KB at most. Of usual texts a page of 200 has less than half as much; of the
longest, 16 are more than any screen shows."""


def number_of(message_id: str) -> int:
    """The number that a `MessageId` writes. One that is too high for any message stands behind them all."""
    return min(int(message_id), HIGHEST_ID)


def page_of(rows: list[Record], limit: int) -> list[Record]:
    """As many of the first rows as one page has: `limit` at most, and no more than `PAGE_TEXT` of text."""
    text = 0
    for number, row in enumerate(rows[:limit]):
        text += len(row["text"])
        if text > PAGE_TEXT:
            return rows[:number]
    return rows[:limit]
