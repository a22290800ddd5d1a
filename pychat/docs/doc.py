"""What a route tells the OpenAPI description."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Body = type | None


@dataclass(frozen=True)
class Doc:
    """Stands in the `opt` of a handler under `doc`; `openapi.py` adds what all routes have in common.

    Args:
        answers: the type of the body by status; `NoneType` is JSON's `null`, `None` no body at all.
        errors: when each status is answered, beyond 401 and 503 (with `token`), and 400 and 413 (with `bodies`). Of
            version 2's routes each of `CODES` instead, beyond those that come from `token`, `bodies` and `query`.
        bodies: the types of which the request's body is one.
        query: the struct of the parameters in the query string.
        token: whether a bearer token is needed.
    """

    answers: Mapping[int, Body]
    errors: Mapping[int, str] | Mapping[str, str] = field(default_factory=dict)
    bodies: tuple[type, ...] = ()
    query: type | None = None
    token: bool = True
