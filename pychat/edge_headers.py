"""What the edge says of a request that it passes on."""

from litestar.types import Scope

REQUEST_ID = b"x-request-id"
LISTENER = b"x-pychat-listener"
"""`public`, or `monitor` and that listener's address."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of this name, which is in lower case."""
    return next((value.decode("latin-1") for given, value in scope["headers"] if given == name), None)


def edge_header(scope: Scope, name: bytes) -> str | None:
    """The header's value; `None` where no edge is in front, for then it would be the client's own."""
    if not scope["litestar_app"].state.services.settings.edge.enabled:
        return None
    return header(scope, name)
