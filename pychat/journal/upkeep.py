"""What keeps the tables of the messages in shape, now and then."""

from collections.abc import Callable

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
    try:
        await make_partitions(database, now, now + WEEKS_AHEAD * WEEK)
    finally:
        # Each whatever becomes of the others; the dropping, which may have to wait for long, last.
        try:
            await forget_claims(database, now - KEPT_DAYS * DAY)
        finally:
            if days := config().retention_days:
                await drop_partitions(database, now - days * DAY)
