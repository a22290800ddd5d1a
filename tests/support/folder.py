"""Temporary folders for servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def servers_folder() -> Iterator[Path]:
    """One that others may read: as root, Postgres and nginx serve under another account."""
    with TemporaryDirectory(prefix="pychat-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
