"""How many connections the open files allow."""

import pytest

from pychat.listeners import FILES_RESERVED, PASSED_ON, most_connections


@pytest.mark.parametrize("files", [500, 1_024, 1_964, 1_965, 4_096, 65_536])
def test_files_never_run_out(files: int) -> None:
    connections = most_connections(files)
    assert connections > 0
    taken = connections + 2 * min(connections, PASSED_ON) + FILES_RESERVED
    # And none is left for one more.
    assert files - 3 < taken <= files
