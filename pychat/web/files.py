"""The files of the page, as they are served: read, compressed and named once."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "page"

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
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
    """The page: `/` is `index`, and under `/page/<version>/` are the other files by their path.

    The version stands for all of their content, so that a browser may keep them for good, and never mixes the modules
    of two versions.
    """

    version: str
    index: PageFile
    files: Mapping[str, PageFile]


def read_page(folder: Path = FOLDER) -> Page:
    """Reads the page from its folder, where `index.html` names the others as `/page/<path>`."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES)
    files = {
        path.relative_to(folder).as_posix(): PageFile(MEDIA_TYPES[path.suffix], path.read_bytes()) for path in paths
    }
    index = files.pop("index.html")
    version = hashlib.sha256("".join(file.digest for file in files.values()).encode()).hexdigest()[:16]
    versioned = index.content.replace(b'"/page/', f'"/page/{version}/'.encode())
    return Page(version, PageFile(index.media_type, versioned), files)
