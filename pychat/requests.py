"""Reading a request: its token, its body and query string, the fields in them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.types import Receive, Scope

from pychat.errors import Refused, problem
from pychat.unread_bodies import MAX_TAKEN_BYTES

MAX_BODY_BYTES = 16_000
"""The contract's bound on a v1 body."""

MAX_V2_BODY_BYTES = 65_536
"""And on a v2 body; `rust/api/contract.rs` has the same."""

MAX_PARAMETERS = 20
"""In a query string: far more than any route knows."""

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


async def read_body(receive: Receive, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body, or a prefix of it that is longer than `max_bytes`; the rest is taken from the wire nevertheless.

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
        if len(body) <= max_bytes:
            body += chunk
        if not event.get("more_body") or size > MAX_TAKEN_BYTES:
            return body


def parse_fields(
    body: bytes, shape: type[T], rules: Mapping[str, Rule] | None = None, max_bytes: int = MAX_BODY_BYTES
) -> T:
    """Reads a JSON body as `read_body` gives it into `shape`, a msgspec struct of fields or of structs of fields; other
    keys are ignored, unless the struct forbids them.

    `rules` are applied to the fields of their name.

    Raises:
        Refused: 413; 400 for what is not a JSON object, or naming every field that is missing, of another type, against
            its rule or forbidden.
    """
    if len(body) > max_bytes:
        raise Refused(413, f"The request body is over {max_bytes:,} bytes")
    try:
        raw = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise problem("not_json", "The request body is not valid JSON") from None
    if not isinstance(raw, dict):
        raise problem("not_json", "The request body is not a JSON object")
    faults: dict[str, list[str]] = {}
    values = _checked(raw, shape, rules or {}, faults)
    if faults:
        raise problem("validation_failed", "The request body has invalid fields", faults)
    return msgspec.convert(values, shape)


def parse_query(scope: Scope, shape: type[T]) -> T:
    """Reads the query string into `shape`, a msgspec struct of parameters.

    Raises:
        Refused: 400 for what is no query string, or naming every parameter that is missing, wrong, repeated or unknown.
    """
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise Refused(400, "The query string is malformed") from None
    raw = dict(pairs)
    faults: dict[str, list[str]] = {}
    values = _checked(raw, shape, {}, faults, strict=False)
    for name in raw:
        if sum(given == name for given, _ in pairs) > 1:
            faults[name] = ["Given more than once"]
    if faults:
        raise problem("validation_failed", "The query string has invalid parameters", faults)
    return msgspec.convert(values, shape)


def _checked(
    raw: dict[str, Any], shape: type, rules: Mapping[str, Rule], faults: dict[str, list[str]], strict: bool = True
) -> dict[str, Any]:
    """The values of the fields of `shape` that are in order; the others are noted in `faults`."""
    values: dict[str, Any] = {}
    fields = msgspec.structs.fields(shape)
    if shape.__struct_config__.forbid_unknown_fields:  # type: ignore[attr-defined] # every struct has it
        faults.update((name, ["Unknown field"]) for name in raw.keys() - {field.name for field in fields})
    for field in fields:
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
                value = msgspec.convert(raw[name], field.type, strict=strict)
                values[name] = rules[name](value) if name in rules else value
            except msgspec.ValidationError as error:
                faults[name] = [str(error).replace("`", "")]
            except RuleBroken as broken:
                faults[name] = broken.reasons
    return values
