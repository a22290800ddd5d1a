"""`/docs`: the page, its assets, the description itself."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pychat.docs.openapi import describe

_FOLDER = Path(__file__).parent / "assets"

ASSETS = {
    "page.js": (_FOLDER / "page.js", "text/javascript"),
    "swagger-ui-bundle.js": (_FOLDER / "swagger-ui" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_FOLDER / "swagger-ui" / "swagger-ui.css", "text/css"),
}

# The page loads nothing from elsewhere and could not: it works offline, and tells nobody that it is read.
# Nobody frames it, for the chat's token is kept for this origin.
ONLY_OURS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    )
}


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@get("/docs", sync_to_thread=False)
def show_page() -> Response[bytes]:
    """The page that shows the description."""
    return Response(_read(_FOLDER / "index.html"), media_type="text/html", headers=ONLY_OURS)


@get("/docs/assets/{name:str}", sync_to_thread=False)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    """One of the page's own files."""
    if name not in ASSETS:
        raise NotFoundException
    path, media_type = ASSETS[name]
    return Response(_read(path), media_type=media_type, headers={"cache-control": "no-cache"})


def docs_handlers(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The routes under `/docs`, which describe `handlers`."""
    description = msgspec.json.encode(describe(handlers))

    @get("/docs/openapi.json", sync_to_thread=False)
    def show_description() -> Response[bytes]:
        return Response(description, media_type="application/json")

    return [show_page, show_asset, show_description]
