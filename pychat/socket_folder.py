"""The folder of the Unix socket that the edge passes requests on by."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = "application.sock"
PREFIX = "pychat-edge-"


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder for its owner alone, since whoever reaches the socket is believed to be the edge; gone at the end. Those
    of processes that were killed are removed before.

    The folder itself is locked as long as its process lives. That also keeps it from systemd's tidying of /tmp.
    """
    parent = Path(tempfile.gettempdir())
    _remove_left_over(parent)
    # Under a name that nobody looks for until it is locked.
    draft = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    folder = parent / draft.name.removeprefix(".")
    lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_left_over(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        # Others' folders and links, those in use, and what holds anything else are none of ours.
        with suppress(OSError):
            _remove_unless_used(folder)


def _remove_unless_used(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid != os.geteuid():
            return
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(FileNotFoundError):
            os.unlink(SOCKET, dir_fd=opened)
        folder.rmdir()
    finally:
        os.close(opened)
