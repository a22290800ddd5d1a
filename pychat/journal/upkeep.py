"""What keeps the tables of the messages in shape, now and then."""

from collections.abc import Awaitable, Callable

from pychat.database.pool import Database
from pychat.dynconf.schemas import History
from pychat.journal.claims import KEPT_DAYS, forget_claims
from pychat.journal.partitions import WEEK, WEEKS_AHEAD, drop_partitions, make_partitions, now_id

TASK = "history-background-job"

EVERY_SEC = 3_600.0

DAY = WEEK // 7


async def keep_history_in_shape(database: Database, config: Callable[[], History]) -> None:
    """Makes the partitions of the weeks to come, drops those that are older than messages are kept, and forgets old
    client ids.

    Raises:
        DatabaseUnavailable
    """
    now = now_id()
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: make_partitions(database.own, now, now + WEEKS_AHEAD * WEEK),
        lambda: forget_claims(database.own, now - KEPT_DAYS * DAY),
    ]
    if days := config().retention_days:
        # Last: it may have to wait for long.
        steps.append(lambda: drop_partitions(database, now - days * DAY))
    failures = []
    for step in steps:
        # Each whatever becomes of the others; but a stop ends them all.
        try:
            await step()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
