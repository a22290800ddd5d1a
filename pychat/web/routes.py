"""`/`: the chat in the browser."""

import re

from litestar import HttpMethod, Response, route
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from pychat.requests import AnyRequest
from pychat.web.files import PageFile, read_page

# The page loads nothing from elsewhere, nothing in it is inline, nobody frames it, and browsers that know trusted types
# let no text become markup or script. So the token, which scripts can read, is read by the server's own alone.
PROTECTION = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

ASK_EACH_TIME = "no-cache"
# Not where it is named to be refused, as `gzip;q=0`.
WANTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
KEEP_FOR_GOOD = "public, max-age=31536000, immutable"

PAGE = read_page()


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], sync_to_thread=False)
def show_chat(request: AnyRequest) -> Response[bytes]:
    """The page itself, which names its other files."""
    return _answer(request, PAGE.index, ASK_EACH_TIME)


@route("/page/{version:str}/{name:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD], sync_to_thread=False)
def show_file(request: AnyRequest, version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """One of the page's files."""
    file = PAGE.files.get(name.removeprefix("/"))
    if version != PAGE.version or file is None:
        raise NotFoundException
    return _answer(request, file, KEEP_FOR_GOOD)


def _answer(request: AnyRequest, file: PageFile, cache_control: str) -> Response[bytes]:
    is_compressed = bool(WANTS_GZIP.search(request.headers.get("accept-encoding", "")))
    etag = f'"{file.digest}-gzip"' if is_compressed else f'"{file.digest}"'
    headers = {**PROTECTION, "cache-control": cache_control, "etag": etag, "vary": "accept-encoding"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, "*"}:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    if not is_compressed:
        return Response(file.content, headers=headers, media_type=file.media_type)
    headers["content-encoding"] = "gzip"
    return Response(file.compressed, headers=headers, media_type=file.media_type)


handlers = [show_chat, show_file]
