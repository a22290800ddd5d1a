"""The OpenAPI 3.1 description, made from the routes of an application and what each says of itself (`doc.py`)."""

import inspect
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from pychat._core import __version__
from pychat.docs.doc import Doc
from pychat.errors import BRIEF, CODES, PROBLEM, BriefErrorBody, ErrorBody, Problem
from pychat.requests import MAX_BODY_BYTES, MAX_V2_BODY_BYTES

Json = dict[str, Any]

_REF_TEMPLATE = "#/components/schemas/{name}"
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}


def describe(handlers: Sequence[HTTPRouteHandler]) -> Json:
    """The whole description.

    Raises:
        KeyError: a handler has no `Doc`.
    """
    documented: list[tuple[HTTPRouteHandler, Doc]] = [(handler, handler.opt["doc"]) for handler in handlers]
    types = {body for _, doc in documented for body in (*doc.answers.values(), *doc.bodies) if body is not None}
    ordered = sorted({*types, ErrorBody, BriefErrorBody, Problem}, key=lambda body: body.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF_TEMPLATE)
    schema_of = dict(zip(ordered, schemas, strict=True))
    paths: Json = {}
    for handler, doc in documented:
        for number, path in enumerate(_paths(handler)):
            for method in handler.http_methods:
                operation = _operation(handler, path, doc, schema_of)
                operation["operationId"] = _name(handler) + (f"_{number + 1}" if number else "")
                operation["parameters"] = [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in re.findall(r"{(\w+)}", path)
                ] + _query_parameters(doc)
                paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "pychat", "version": __version__, "description": "A realtime chat server."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(handler: HTTPRouteHandler, path: str, doc: Doc, schema_of: dict[Any, Json]) -> Json:
    responses: Json = {}
    for status, body in doc.answers.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if body is not None:
            responses[str(status)]["content"] = _json(schema_of[body])
    is_version_2 = path.startswith("/v2/")
    brief_or_not = BriefErrorBody if path.startswith(BRIEF) else ErrorBody
    error = {PROBLEM: {"schema": schema_of[Problem]}} if is_version_2 else _json(schema_of[brief_or_not])
    for status, reason in _problems(doc) if is_version_2 else _errors(doc):
        responses[str(status)] = {"description": reason, "content": error}
        if status in (429, 503):
            responses[str(status)]["headers"] = _RETRY_AFTER
    summary = inspect.getdoc(handler.fn) or ""
    operation: Json = {"summary": summary, "tags": [_tag(handler)], "responses": responses}
    if doc.bodies:
        bodies = [schema_of[body] for body in doc.bodies]
        operation["requestBody"] = {
            "required": True,
            "content": _json(bodies[0] if len(bodies) == 1 else {"anyOf": bodies}),
        }
    if doc.token:
        operation["security"] = [{"bearer": []}]
    return operation


def _query_parameters(doc: Doc) -> list[Json]:
    if doc.query is None:
        return []
    shape = msgspec.json.schema(doc.query)["$defs"][doc.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in shape["required"], "schema": schema}
        for name, schema in shape["properties"].items()
    ]


def _errors(doc: Doc) -> list[tuple[int, str]]:
    """Every error of a route of version 1, by status."""
    errors: dict[Any, str] = {500: "Unexpected failure"}
    if doc.token:
        errors |= {401: "The token is missing or not valid now", 503: "The database is away"}
    if doc.bodies:
        errors |= {
            400: "The body is not JSON, or the fields named are wrong",
            413: f"The body is over {MAX_BODY_BYTES:,} bytes",
        }
    return sorted({**errors, **doc.errors}.items())


def _problems(doc: Doc) -> list[tuple[int, str]]:
    """Every error of a route of version 2, by status, with the codes it may have."""
    reasons: dict[Any, str] = {"unexpected_failure": "A fault of the server"}
    if doc.token:
        reasons |= {
            "token_missing": "There is no Authorization header",
            "token_invalid": "It is no token of this server's",
            "token_expired": "Sign in again",
            "token_revoked": "The password was changed",
            "user_gone": "The account was deleted",
            "database_unavailable": "The database is away",
        }
    if doc.bodies:
        reasons |= {
            "not_json": "The body is not a JSON object",
            "validation_failed": "The fields named are missing, wrong or unknown",
            "malformed_request": "The body ended early",
            "body_too_large": f"The body is over {MAX_V2_BODY_BYTES:,} bytes",
        }
    if doc.query:
        reasons |= {
            "validation_failed": "The parameters named are missing, wrong or unknown",
            "malformed_request": "The query string is malformed",
        }
    by_status: dict[int, list[str]] = {}
    for code, reason in {**reasons, **doc.errors}.items():
        by_status.setdefault(CODES[code], []).append(f"`{code}`: {reason}")
    return sorted((status, "\n\n".join(lines)) for status, lines in by_status.items())


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _paths(handler: HTTPRouteHandler) -> Iterator[str]:
    """A route's paths, without those that stand in for a parameter's odd values."""
    paths = [re.sub(r":\w+}", "}", path) for path in handler.paths]
    with_parameter = [path for path in paths if "{" in path]
    # A handler keeps its paths in a set: sorted, the first is the plain one.
    return iter(sorted(with_parameter or paths, key=lambda path: (len(path), path)))


def _name(handler: HTTPRouteHandler) -> str:
    return handler.fn.__name__


def _tag(handler: HTTPRouteHandler) -> str:
    """The concern that the handler belongs to."""
    return handler.fn.__module__.split(".")[1]
