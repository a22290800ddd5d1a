"""The folder of the socket to the application: none is left for long, and none of a running server's is taken."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.door import through_the_edge
from tests.support.server import Options, Server, running

pytestmark = through_the_edge


@pytest.fixture
def temporary(workspace: Path) -> Path:
    folder = workspace / uuid4().hex[:8]
    folder.mkdir()
    return folder


@pytest.fixture
def options(server_options: Callable[..., Options], temporary: Path) -> Callable[[], Options]:
    return lambda: server_options(TMPDIR=str(temporary))


def folders(temporary: Path) -> set[Path]:
    return set(temporary.iterdir())


def test_one_that_a_killed_server_left_is_removed_at_the_next_start(
    options: Callable[[], Options], temporary: Path
) -> None:
    with running(options()) as lasting:
        of_lasting = folders(temporary)
        killed = Server(options())
        of_killed = folders(temporary) - of_lasting
        killed.kill()
        assert folders(temporary) == of_lasting | of_killed
        with running(options()):
            assert len(of_lasting) == len(of_killed) == 1
            assert not of_killed & folders(temporary)
            # What is passed on still finds its way.
            assert lasting.http.get("/docs").status_code == 200
        assert folders(temporary) == of_lasting
    assert not folders(temporary)


def test_what_is_not_its_own_stays(options: Callable[[], Options], temporary: Path) -> None:
    with_more = temporary / "pychat-edge-with-more"
    with_more.mkdir()
    (with_more / "other").touch()
    (temporary / "pychat-edge-file").touch()
    target = temporary / "target"
    target.mkdir()
    (temporary / "pychat-edge-link").symlink_to(target)
    before = folders(temporary)
    with running(options()):
        pass
    assert folders(temporary) == before
