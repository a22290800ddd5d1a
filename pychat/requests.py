"""Reading a request: its token, its body, the fields in it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.types import Receive, Scope

from pychat.errors import Refused
from pychat.unread_bodies import MAX_TAKEN_BYTES

MAX_BODY_BYTES = 16_000
"""The contract's bound on a v1 body."""

Rule = Callable[[str], str]
"""Takes what the client sent, returns the value in the form we keep. Raises RuleBroken."""

AnyRequest = Request[Any, Any, Any]

T = TypeVar("T")


class RuleBroken(Exception):
    """A value breaks its rule; `reasons` holds one sentence for each fault."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def authorization(scope: Scope) -> str | None:
    """The value of the `Authorization` header."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value.decode("latin-1")
    return None


async def read_body(receive: Receive) -> bytes:
    """The body, or a prefix of it that is longer than `MAX_BODY_BYTES`; the rest is taken from the wire nevertheless.

    Raises:
        Refused: the client left before the body was complete.
    """
    body, size = b"", 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Refused(400, "The request body ended early")
        chunk = event.get("body", b"")
        size += len(chunk)
        if len(body) <= MAX_BODY_BYTES:
            body += chunk
        if not event.get("more_body") or size > MAX_TAKEN_BYTES:
            return body


def parse_fields(body: bytes, shape: type[T], rules: Mapping[str, Rule] | None = None) -> T:
    """Reads a JSON body as `read_body` gives it into `shape`, a msgspec struct of fields or of structs of fields; other
    keys are ignored.

    `rules` are applied to the fields of their name.

    Raises:
        Refused: 413; 400 for what is not a JSON object, or naming every field that is missing, of another type or
            against its rule.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, f"The request body is over {MAX_BODY_BYTES:,} bytes")
    try:
        raw = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The request body is not valid JSON") from None
    if not isinstance(raw, dict):
        raise Refused(400, "The request body is not a JSON object")
    faults: dict[str, list[str]] = {}
    values = _checked(raw, shape, rules or {}, faults)
    if faults:
        raise Refused(400, "The request body has invalid fields", faults)
    return msgspec.convert(values, shape)


def _checked(
    raw: dict[str, Any], shape: type, rules: Mapping[str, Rule], faults: dict[str, list[str]]
) -> dict[str, Any]:
    """The values of the fields of `shape` that are in order; the others are noted in `faults`."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        name = field.name
        nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        if name not in raw:
            if field.required:
                faults[name] = ["This field is missing"]
                if nested:
                    _checked({}, field.type, rules, faults)
        elif nested and isinstance(raw[name], dict):
            values[name] = _checked(raw[name], field.type, rules, faults)
        else:
            try:
                value = msgspec.convert(raw[name], field.type)
                values[name] = rules[name](value) if name in rules else value
            except msgspec.ValidationError as error:
                faults[name] = [str(error).replace("`", "")]
            except RuleBroken as broken:
                faults[name] = broken.reasons
    return values
