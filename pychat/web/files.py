"""The files of the page, as they are served: read, joined, compressed and named once."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pychat.web.joining import join_modules, join_sheets

FOLDER = Path(__file__).parent / "page"

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".map": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """One file."""

    media_type: str
    content: bytes

    @cached_property
    def compressed(self) -> bytes:
        """The content in gzip, with no time in it: the same bytes at every start."""
        return gzip.compress(self.content, mtime=0)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


@dataclass(frozen=True)
class Page:
    """The page: `/` is `index`, and under `/page/<version>/` are the other files by their name.

    The version stands for all of their content, so that a browser may keep them for good, and never mixes those of two
    versions.
    """

    version: str
    index: PageFile
    files: Mapping[str, PageFile]


def read_page(folder: Path = FOLDER) -> Page:
    """Reads the page from its folder, where `index.html` names the others as `/page/<name>`."""
    script, source_map = join_modules(folder, "main.js", map_name="main.js.map")
    texts = {
        "main.css": join_sheets(folder, "main.css"),
        "main.js": script,
        "main.js.map": source_map,
        "icon.svg": (folder / "icon.svg").read_text(encoding="utf-8"),
    }
    files = {name: PageFile(MEDIA_TYPES[Path(name).suffix], text.encode()) for name, text in texts.items()}
    version = hashlib.sha256("".join(file.digest for file in files.values()).encode()).hexdigest()[:16]
    index = (folder / "index.html").read_text(encoding="utf-8").replace('"/page/', f'"/page/{version}/')
    return Page(version, PageFile(MEDIA_TYPES[".html"], index.encode()), files)
