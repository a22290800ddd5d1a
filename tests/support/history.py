"""What was said: messages of long ago, written behind the server's back, and the past as a person sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.client import Person
from tests.support.postgres import execute
from tests.support.server import Server

# Two partitions, so that pages reach over a border; both end before there was a pychat to make its own.
BORDER = 5 * 10**14
END = 10**15
_PARTITIONS = [("messages_19700101", 0, BORDER), ("messages_19851105", BORDER, END)]


@dataclass(frozen=True)
class Line:
    id: int
    sender: Person
    text: str = "Hello"
    client_id: str | None = None


def write_history(server: Server, chat_id: str, lines: Sequence[Line]) -> None:
    """Puts messages into a chat; their ids are below `END`."""
    url = server.database_url
    for name, begin, end in _PARTITIONS:
        execute(url, f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF messages FOR VALUES FROM ({begin}) TO ({end})")
    execute(
        url,
        """
        WITH line AS (
            SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
                AS line (id, sender, text, client_id)
        ), claimed AS (
            INSERT INTO message_claims (sender, client_id, message_id)
            SELECT sender, client_id, id FROM line WHERE client_id IS NOT NULL
        )
        INSERT INTO messages (id, chat, sender, text)
        SELECT line.id, number, sender, text FROM line, chats WHERE chats.id = $1
        """,
        chat_id,
        [line.id for line in lines],
        [line.sender.user_id for line in lines],
        [line.text for line in lines],
        [line.client_id for line in lines],
    )


def texts_seen_by(person: Person) -> list[str]:
    """The messages of the person's only chat, as the server has them."""
    chat = person.request("GET", "/v2/chats").json()["items"][0]
    messages = person.request("GET", f"/v2/chats/{chat['id']}/messages").json()["items"]
    return [message["text"] for message in messages]
