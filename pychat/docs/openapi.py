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
from pychat.errors import ErrorBody

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
    ordered = sorted({*types, ErrorBody}, key=lambda body: body.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF_TEMPLATE)
    schema_of = dict(zip(ordered, schemas, strict=True))
    paths: Json = {}
    for handler, doc in documented:
        for number, path in enumerate(_paths(handler)):
            for method in handler.http_methods:
                operation = _operation(handler, doc, schema_of)
                operation["operationId"] = _name(handler) + (f"_{number + 1}" if number else "")
                operation["parameters"] = [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in re.findall(r"{(\w+)}", path)
                ]
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


def _operation(handler: HTTPRouteHandler, doc: Doc, schema_of: dict[Any, Json]) -> Json:
    responses: Json = {}
    for status, body in doc.answers.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if body is not None:
            responses[str(status)]["content"] = _json(schema_of[body])
    for status, reason in _errors(doc):
        responses[str(status)] = {"description": reason, "content": _json(schema_of[ErrorBody])}
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


def _errors(doc: Doc) -> list[tuple[int, str]]:
    """Every error of a route, by status."""
    errors = {500: "Unexpected failure"}
    if doc.token:
        errors |= {401: "The token is missing or not valid now", 503: "The database is away"}
    if doc.bodies:
        errors |= {400: "The body is not JSON, or the fields named are wrong", 413: "The body is over 16,000 bytes"}
    return sorted({**errors, **doc.errors}.items())


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
