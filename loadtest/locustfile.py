"""People who sign up, open a session, hold a poll and chat in pairs, as Locust users.

With Locust's web page, against any server: `locust -f loadtest/locustfile.py --host http://127.0.0.1:8080`.
`make load` runs it without, by a profile, and draws what came of it.

Rows beside the HTTP ones: `DELIVERY message` is the time from just before a send to when the other's poll has brought
the message (the time of sending is inside its text, so both must be on one clock); `CHECK lost` and `CHECK doubled`
fail once for each message that did not come, or came twice.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import gevent
import jwt
from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task
from locust.env import Environment
from locust.stats import RequestStats

from loadtest.profile import Profile, load_profile

PASSWORD: Final = "Passw0rd!"
PROFILE: Final[Profile | None] = (
    load_profile(os.environ["PYCHAT_LOAD_PROFILE"]) if "PYCHAT_LOAD_PROFILE" in os.environ else None
)
MESSAGES_PER_SECOND: Final = PROFILE.messages_per_second if PROFILE else 0.5
# What a person who leaves still waits for. Delivery takes milliseconds; a stalled machine is not a lost message.
LAST_MESSAGES_WITHIN_SEC: Final = 10.0
# Of a token's lifetime; a poll that is begun just before is held for seconds.
RENEWED_AT_SHARE: Final = 0.8
STAGES: Final = [RequestStats(use_response_times_cache=False) for _ in (PROFILE.stages if PROFILE else ())]
TEXT: Final = "Shall we meet at the old bridge after work, about six?"


def _lifetime_sec(token: str) -> float:
    """Between the token's own times: the server's clock need not be this one."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return float(claims["exp"] - claims["iat"])


class Person(FastHttpUser):
    """Talks with one other person, as soon as there is one without company."""

    wait_time = constant_throughput(MESSAGES_PER_SECOND)
    connection_timeout = 10.0
    network_timeout = 90.0  # a poll is held for 30 s, or as long as the server is set to
    waiting: "Person | None" = None  # of the class: who has no company yet

    def on_start(self) -> None:
        self.other: Person | None = None
        self.chat_id = ""
        self.accepted: set[int] = set()  # of what was written to the other
        self.seen: set[tuple[str, int]] = set()  # whose, and which
        self.written = 0
        self.is_writing = self.is_leaving = self.is_left = False
        self.username = f"l{uuid4().hex[:15]}"
        self.user = {"username": self.username, "password": PASSWORD, "display_name": "Load Tester"}
        self._let_in("register")
        self.session_id: str = self._call("POST", "/v1/messages/poll/start", "open session")["session_id"]
        self.reading = gevent.spawn(self._read)
        self._find_company()

    def on_stop(self) -> None:
        """Who leaves first lets neither write any more and waits for what was written; what does not come is lost. The
        other one then finds new company."""
        self.is_leaving = True
        if Person.waiting is self:
            Person.waiting = None
        while self.is_left:
            gevent.sleep(0.01)
        if other := self.other:
            other.is_left = True
            try:
                self._part(other)
            finally:
                other.is_left = False
        self.reading.kill()

    def _part(self, other: "Person") -> None:
        self.chat_id = other.chat_id = ""
        deadline = time.monotonic() + LAST_MESSAGES_WITHIN_SEC
        while self.is_writing or other.is_writing or self._missed(other) or other._missed(self):
            if time.monotonic() > deadline:
                break
            gevent.sleep(0.01)
        for one, writer in ((self, other), (other, self)):
            for number in sorted(one._missed(writer)):
                self._check_failed("lost", f"message {number} of {writer.username} never came")
        self.other = other.other = None
        if not other.is_leaving:
            other._find_company()

    def _missed(self, writer: "Person") -> set[int]:
        return {number for number in writer.accepted if (writer.username, number) not in self.seen}

    @task
    def write(self) -> None:
        if not self.chat_id:
            return
        self.is_writing = True
        try:
            self._send()
        finally:
            self.is_writing = False

    def _send(self) -> None:
        self.written += 1
        number = self.written
        payload = f"{number} {time.time_ns()} {TEXT}"
        body = {"message": {"chat_id": self.chat_id, "payload": payload}}
        with self.client.post(
            "/v1/messages/send", json=body, headers=self._identity(), name="send", catch_response=True
        ) as answer:
            if answer.status_code == 202:
                self.accepted.add(number)
            else:
                answer.failure(f"{answer.status_code} {answer.text}")

    def _let_in(self, name: str) -> None:
        """Registers or signs in."""
        # While it is done, whoever needs a token goes on with the one before.
        self.renew_at = math.inf
        while True:
            with self.client.post(
                f"/v1/users/{name}", json={"user": self.user}, name=name, catch_response=True
            ) as answer:
                if answer.status_code == 200:
                    said = answer.json()
                    self.token: str = said["user"]["token"] if name == "register" else said["token"]
                    self.renew_at = time.monotonic() + RENEWED_AT_SHARE * _lifetime_sec(self.token)
                    return
                if answer.status_code != 503:
                    answer.failure(f"{answer.status_code} {answer.text}")
                    raise RuntimeError(f"cannot {name}")
                # A crowd at the door is asked to come back; that is no failure.
                answer.request_meta["name"] = f"{name} (told to wait)"
                answer.success()
                wait_sec = float(answer.headers.get("retry-after", "1"))
            gevent.sleep(wait_sec)

    def _find_company(self) -> None:
        other, Person.waiting = Person.waiting, None
        if other is None:
            Person.waiting = self
            return
        chat = self._call("POST", "/v1/chats/private", "open chat", {"target_username": other.username})
        if self.is_leaving or other.is_leaving:
            # It took a while: who stays looks again.
            for one in (self, other):
                if not one.is_leaving:
                    one._find_company()
            return
        self.other, other.other = other, self
        self.accepted, other.accepted = set(), set()
        self.chat_id = other.chat_id = chat["chat_id"]

    def _read(self) -> None:
        while True:
            path = f"/v1/messages/poll/{self.session_id}"
            with self.client.get(path, headers=self._identity(), name="poll (held)", catch_response=True) as answer:
                now_ns = time.time_ns()
                if answer.status_code != 200:
                    answer.failure(f"{answer.status_code} {answer.text}")
                    gevent.sleep(1)
                    continue
                batch = answer.json()
                if batch["resync_required"]:
                    answer.failure("the session was full: messages were refused")
            for message in batch["messages"]:
                # One's own come as well.
                if message["sender"] != self.username:
                    self._received(message["sender"], message["text"], now_ns)

    def _received(self, sender: str, text: str, now_ns: int) -> None:
        number, sent_ns, _ = text.split(" ", 2)
        if (sender, int(number)) in self.seen:
            self._check_failed("doubled", f"message {number} of {sender} came twice")
        self.seen.add((sender, int(number)))
        self._note("DELIVERY", "message", (now_ns - int(sent_ns)) / 1e6)

    def _call(self, method: str, path: str, name: str, body: object = None) -> Any:
        with self.client.request(
            method, path, json=body, headers=self._identity(), name=name, catch_response=True
        ) as answer:
            if answer.status_code not in {200, 201}:
                answer.failure(f"{answer.status_code} {answer.text}")
                raise RuntimeError(f"{name}: {answer.status_code}")
            return answer.json()

    def _identity(self) -> dict[str, str]:
        if time.monotonic() >= self.renew_at:
            self._let_in("login")
        return {"Authorization": f"Bearer {self.token}"}

    def _check_failed(self, name: str, why: str) -> None:
        self._note("CHECK", name, 0, AssertionError(why))

    def _note(self, kind: str, name: str, milliseconds: float, failure: Exception | None = None) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=failure,
            context={},
        )


# Locust has no types for what is below.
if PROFILE is not None:
    # Only with a profile: a shape would take the number of users out of the hands of whoever uses the web page.
    profile = PROFILE

    class ProfileShape(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            number = profile.at(self.get_run_time())  # type: ignore[no-untyped-call]
            return None if number is None else (profile.stages[number].users, profile.stages[number].spawn_rate)

    @events.init.add_listener  # type: ignore[untyped-decorator]
    def count_by_stage(environment: Environment, **_: object) -> None:
        """Counts each request once more for the stage in which it ended."""

        def count(
            request_type: str,
            name: str,
            response_time: float,
            response_length: int,
            exception: Exception | None,
            **_: object,
        ) -> None:
            # What ends while all leave is of no stage.
            number = profile.at(environment.shape_class.get_run_time())  # type: ignore[union-attr]
            if number is not None:
                STAGES[number].log_request(request_type, name, response_time, response_length)  # type: ignore[arg-type]
                if exception:
                    STAGES[number].log_error(request_type, name, exception)

        environment.events.request.add_listener(count)  # type: ignore[no-untyped-call]


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_counted(environment: Environment, **_: object) -> None:
    """Leaves what was counted where `make load` looks for it."""
    if "PYCHAT_LOAD_COUNTED" in os.environ:
        counted = {"rows": _rows(environment.stats), "stages": [_rows(stats) for stats in STAGES]}
        Path(os.environ["PYCHAT_LOAD_COUNTED"]).write_text(json.dumps(counted))
        # Locust would answer 1 for any failed request; the thresholds judge.
        environment.process_exit_code = 0


def _rows(stats: RequestStats) -> list[dict[str, Any]]:
    return [
        {
            "kind": entry.method,
            "name": entry.name,
            "count": entry.num_requests,
            "failed": entry.num_failures,
            **{f"p{share * 100:g}_ms": entry.get_response_time_percentile(share) for share in (0.5, 0.95, 0.99)},
            "max_ms": entry.max_response_time,
        }
        for entry in stats.entries.values()
    ]
