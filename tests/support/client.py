"""The HTTP contract as Python calls: `Api` gives raw answers, `Person` and `Session` insist on success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt

from tests.support.parked import OpenPoll, first_answered

PASSWORD: Final = "Passw0rd!"


class Api:
    """Each route of version 1 as one method that returns the answer as it came."""

    def __init__(self, http: httpx.Client, token: str | None = None) -> None:
        self.http = http
        self.token = token

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sends one request, with the token where there is one and `headers` name no other."""
        identity = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, path, json=json, content=content, headers=identity | (headers or {}))

    def register(
        self, username: str, password: object = PASSWORD, display_name: object = "Somebody", **fields: object
    ) -> httpx.Response:
        user = {"username": username, "password": password, "display_name": display_name} | fields
        return self.request("POST", "/v1/users/register", json={"user": user})

    def login(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return self.request("POST", "/v1/users/login", json={"user": {"username": username, "password": password}})

    def profile(self, username: str) -> httpx.Response:
        return self.request("GET", f"/v1/users/{username}")

    def patch(self, username: str, /, **fields: object) -> httpx.Response:
        return self.request("PATCH", f"/v1/users/{username}", json={"user": fields})

    def delete(self, username: str) -> httpx.Response:
        return self.request("DELETE", f"/v1/users/{username}")

    def private_chat(self, target_username: str) -> httpx.Response:
        return self.request("POST", "/v1/chats/private", json={"target_username": target_username})

    def start(self) -> httpx.Response:
        return self.request("POST", "/v1/messages/poll/start")

    def poll(self, session_id: str) -> httpx.Response:
        return self.request("GET", f"/v1/messages/poll/{session_id}")

    def send(self, chat_id: str, payload: str) -> httpx.Response:
        return self.request("POST", "/v1/messages/send", json={"message": {"chat_id": chat_id, "payload": payload}})

    def send_to(self, recipient: str, payload: str) -> httpx.Response:
        """Sends in the older dialect."""
        message = {"recipient": recipient, "payload": payload}
        return self.request("POST", "/v1/messages/send", json={"message": message})


class Person(Api):
    """A registered user with a token."""

    def __init__(self, http: httpx.Client, username: str, token: str, password: str = PASSWORD) -> None:
        super().__init__(http, token)
        self.username = username
        self.password = password

    @classmethod
    def registered(cls, http: httpx.Client, username: str | None = None) -> Person:
        """Registers, under a name nobody has unless one is given."""
        username = username or new_name()
        answer = Api(http).register(username)
        assert answer.status_code == 200, answer.text
        return cls(http, username, answer.json()["user"]["token"])

    @property
    def user_id(self) -> int:
        """The id that the token names."""
        assert self.token is not None
        claims = jwt.decode(self.token, options={"verify_signature": False})
        return int(claims["id"])

    def session(self) -> Session:
        answer = self.start()
        assert answer.status_code == 200, answer.text
        return Session(self, answer.json()["session_id"])

    def chat_with(self, other: Person) -> str:
        """The id of the private chat of the two."""
        answer = self.private_chat(other.username)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["chat_id"])

    def says(self, chat_id: str, text: str) -> None:
        answer = self.send(chat_id, text)
        assert answer.status_code == 202, answer.text

    def tells(self, other: Person, text: str) -> None:
        """As `says`, in the older dialect."""
        answer = self.send_to(other.username, text)
        assert answer.status_code == 202, answer.text


@dataclass(frozen=True)
class Message:
    sender: str
    text: str


@dataclass(frozen=True)
class Batch:
    """What one poll brought."""

    resync_required: bool
    messages: list[Message]

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    @classmethod
    def decoded(cls, body: dict[str, Any]) -> Batch:
        """Refuses keys that are missing and keys that are too many."""
        assert set(body) == {"resync_required", "messages"}, body
        assert isinstance(body["resync_required"], bool)
        return cls(body["resync_required"], [Message(**message) for message in body["messages"]])


@dataclass(frozen=True)
class Session:
    """One polling session of a person."""

    owner: Person
    session_id: str

    def read(self) -> Batch:
        """One poll, which must succeed."""
        answer = self.owner.poll(self.session_id)
        assert answer.status_code == 200, answer.text
        return Batch.decoded(answer.json())

    def read_texts(self, count: int) -> list[str]:
        """Polls until `count` texts came; an empty poll before that is a failure."""
        texts: list[str] = []
        while len(texts) < count:
            batch = self.read()
            assert batch.messages, f"waited for {count} messages and got {texts}"
            texts += batch.texts
        return texts

    def open_poll(self) -> OpenPoll:
        """Sends a poll and does not wait for its answer."""
        assert self.owner.token is not None
        return OpenPoll(self.owner.http.base_url, self.owner.token, self.session_id)

    def park(self) -> OpenPoll:
        """A poll that the server surely holds by now: a rival for the same session has been refused.

        The session must have nothing waiting.
        """
        rivals = [self.open_poll(), self.open_poll()]
        refused = first_answered(rivals)
        rivals.remove(refused)
        status, body = refused.answer()
        assert status == 409, body
        return rivals[0]


def new_name() -> str:
    """A user name that nobody has."""
    return f"u{uuid4().hex[:15]}"
