"""People of a profile at a real server: what is counted for which stage."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtest.__main__ import LOCUSTFILE
from tests.support.server import Server

SECONDS = (4, 15, 45)
"""Of a stage: longer where a busy machine has not come to all that is to happen in it."""


def counts(server: Server, folder: Path, seconds: int) -> list[Mapping[str, int]]:
    """How often each kind of request was made by two people, and then four: in all, and in each stage."""
    profile, counted_file = folder / "two.toml", folder / "counted.json"
    profile.write_text(f"""
        description = "two stages"
        stages = [
            {{users = 2, spawn_rate = 9, seconds = {seconds}}},
            {{users = 4, spawn_rate = 9, seconds = {seconds}}},
        ]
        thresholds = {{send_p95_ms = 1, delivery_p95_ms = 1}}
        messages_per_second = 2
    """)
    environment = {
        **os.environ,
        "PYCHAT_LOAD_PROFILE": str(profile),
        "PYCHAT_LOAD_COUNTED": str(counted_file),
        "PYTHONPATH": str(LOCUSTFILE.parent.parent),
    }
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", server.url, "--headless"]
    subprocess.run([*command, "--stop-timeout", "20"], env=environment, check=True, timeout=200)
    counted = json.loads(counted_file.read_text())
    return [{row["name"]: row["count"] for row in rows} for rows in (counted["rows"], *counted["stages"])]


def test_what_ends_in_a_stage_is_counted_for_it(server: Server, tmp_path: Path) -> None:
    for seconds in SECONDS:
        everything, *stages = counts(server, tmp_path, seconds)
        # One who begins at the end of a stage may be through in the next.
        registered = [stage.get("register", 0) for stage in stages]
        assert registered[0] <= 2
        assert sum(registered) <= 4
        for name in ("send", "message"):
            # What ends while all leave is of none.
            assert sum(stage.get(name, 0) for stage in stages) <= everything.get(name, 0)
        if (
            registered[0] > 0
            and sum(registered) == 4
            and all(stage.get(name) for name in ("send", "message") for stage in stages)
        ):
            return
    pytest.fail(f"counted in the stages: {stages}")
