"""More logins at once than there is time to hash passwords for."""

import asyncio

from tests.support.client import PASSWORD, Person, new_name
from tests.support.flood import Answer, Connection
from tests.support.server import Server

AT_ONCE = 300


async def log_in(server: Server, name: str) -> Answer:
    async with Connection(server.url, token="none") as connection:
        user = {"username": name, "password": PASSWORD}
        return await connection.request("POST", "/v1/users/login", {"user": user})


def test_a_flood_of_logins_is_bounded_and_holds_up_no_message(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    session = alice.session()
    name = new_name()

    async def flood() -> list[Answer]:
        logins = [asyncio.create_task(log_in(server, name)) for _ in range(AT_ONCE)]
        # Some were refused, so the queue for the others is full.
        await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(alice.says, chat_id, "Am I held up?")
        assert (await asyncio.to_thread(session.read)).texts == ["Am I held up?"]
        assert not all(login.done() for login in logins)
        return await asyncio.gather(*logins)

    answers = asyncio.run(flood())
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {answer.status for answer in answers} == {401, 503}
    assert alice.login(alice.username).status_code == 200
