"""Puts the people and their talks into a database."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from demo.talks import Somebody, Talk
from pychat.chats import store as chats
from pychat.database.pool import Database
from pychat.journal.partitions import make_partitions
from pychat.users import store as users
from pychat.users.passwords import Passwords

PASSWORD = "Demo-pass1"


async def fill(database: Database, people: Iterable[Somebody], talks: Sequence[Talk]) -> None:
    """Fills an empty database that has the schema of this version."""
    times = [microseconds(line.said_at) for talk in talks for line in talk.lines]
    await make_partitions(database, min(times), max(times))
    passwords = Passwords()
    # One hash for all: it is one password, and no secret.
    password_hash = await passwords.hash(PASSWORD)
    passwords.close()
    ids: dict[str, int] = {}
    for person in people:
        row = await users.insert(database, person.username, password_hash, person.display_name, person.biography)
        ids[person.username] = row["id"]
    for talk in talks:
        await _add(database, talk, ids)


async def _add(database: Database, talk: Talk, ids: dict[str, int]) -> None:
    chat = await chats.open_private(database, ids[talk.one], ids[talk.other], max_chats=len(ids))
    assert chat is not None
    said = [(microseconds(line.said_at), ids[line.sender], line.text) for line in talk.lines]
    async with database.transaction() as connection:
        await connection.executemany(
            "INSERT INTO messages (id, chat, sender, text) SELECT $2, number, $3, $4 FROM chats WHERE id = $1",
            [(chat.id, *line) for line in said],
        )
        for username in (talk.one, talk.other):
            read = said[: len(said) - talk.unread.get(username, 0)]
            await connection.execute(
                "UPDATE chat_members SET read_up_to = $3 WHERE chat_id = $1 AND user_id = $2",
                chat.id,
                ids[username],
                read[-1][0] if read else 0,
            )


def microseconds(time: datetime) -> int:
    """What a message of that time has for an id."""
    return int(time.timestamp() * 1_000_000)
