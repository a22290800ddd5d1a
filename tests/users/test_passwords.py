"""Hashing: what is kept, how long it takes, how much may wait."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import pytest

from pychat.errors import Refused
from pychat.users import passwords as module
from pychat.users.passwords import Passwords


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_hash_matches_its_password_alone(passwords: Passwords) -> None:
    encoded = await passwords.hash("Passw0rd!")
    assert await passwords.verify("Passw0rd!", encoded)
    assert not await passwords.verify("Passw0rd?", encoded)


async def test_the_parameters_are_those_of_owasp(passwords: Passwords) -> None:
    assert (await passwords.hash("Passw0rd!")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_one_password_has_many_hashes(passwords: Passwords) -> None:
    assert await passwords.hash("Passw0rd!") != await passwords.hash("Passw0rd!")


async def test_nobody_has_no_password(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await passwords.verify("Passw0rd!", None)
    # Even where the word is by chance the one behind the hash that unknown users are measured by.
    monkeypatch.setattr(passwords, "_nobodys_hash", await passwords.hash("Passw0rd!"))
    assert not await passwords.verify("Passw0rd!", None)


async def test_the_event_loop_goes_on(passwords: Passwords) -> None:
    # Where others have the cores, this thread may get nothing of the time that one hash takes.
    for _ in range(20):
        hashing = asyncio.ensure_future(passwords.hash("Passw0rd!"))
        steps = 0
        while not hashing.done():
            await asyncio.sleep(0)
            steps += 1
        if steps > 10:
            return
    pytest.fail("no hash lets the loop take more than ten steps")


async def test_more_than_may_wait_is_refused(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    told: list[bool] = []
    monkeypatch.setattr(passwords, "when_full", told.append)
    answers = await asyncio.gather(*(passwords.hash("Passw0rd!") for _ in range(5)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [answer.status for answer in refused] == [503, 503]
    assert told == [True, False]
    # What was refused and what is done leave room.
    assert await passwords.hash("Passw0rd!")


async def test_messages_go_before_hashes(passwords: Passwords) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert await passwords._run(niceness) >= before + 10
    assert niceness() == before
