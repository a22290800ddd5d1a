"""What protects the requests that change something."""

from pychat.errors import Refused
from pychat.requests import AnyRequest

MAX_CLOCK_OFFSET_SEC = 10 * 365 * 86_400
"""Ten years: far beyond any lifetime here, and far from the ends of the clock."""


def require_operator(request: AnyRequest) -> None:
    """Refuses what a web page could make an operator's browser send: such a request has the page's host or, sent
    across origins without asking first, no JSON type.

    Raises:
        Refused: 403, 415.
    """
    host, port = request.scope["server"] or ("", None)
    names = {host, f"[{host}]", "localhost"}
    if request.headers.get("host", "").lower() not in {f"{name}:{port}" for name in names}:
        raise Refused(403, "The Host header is not this listener's")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(415, "The body's type is not application/json")


def check_clock_offset(offset_sec: float) -> None:
    """Raises:
    Refused: 400, the clock would be more than ten years off.
    """
    if abs(offset_sec) > MAX_CLOCK_OFFSET_SEC:
        raise Refused(400, "The request body has invalid fields", {"offset_sec": ["The offset is at most ten years"]})
