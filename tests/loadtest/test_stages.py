"""People of a profile at a real server: what is counted for which stage."""

import json
import os
import subprocess
import sys
from pathlib import Path

from loadtest.__main__ import LOCUSTFILE
from tests.support.server import Server


def test_what_ends_in_a_stage_is_counted_for_it(server: Server, tmp_path: Path) -> None:
    profile, counted_file = tmp_path / "two.toml", tmp_path / "counted.json"
    profile.write_text("""
        description = "two stages"
        stages = [{users = 2, spawn_rate = 9, seconds = 8}, {users = 4, spawn_rate = 9, seconds = 8}]
        thresholds = {send_p95_ms = 1, delivery_p95_ms = 1}
        messages_per_second = 2
    """)
    environment = {
        **os.environ,
        "PYCHAT_LOAD_PROFILE": str(profile),
        "PYCHAT_LOAD_COUNTED": str(counted_file),
        "PYTHONPATH": str(LOCUSTFILE.parent.parent),
    }
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", server.url, "--headless"]
    subprocess.run([*command, "--stop-timeout", "20"], env=environment, check=True, timeout=120)
    counted = json.loads(counted_file.read_text())
    everything, *stages = (
        {row["name"]: row["count"] for row in rows} for rows in (counted["rows"], *counted["stages"])
    )
    # One who begins at the end of a stage may be through in the next.
    registered = [stage.get("register", 0) for stage in stages]
    assert sum(registered) == 4
    assert registered[0] in (1, 2)
    for name in ("send", "message"):
        assert all(stage[name] > 0 for stage in stages)
        # What ends while all leave is of none.
        assert sum(stage[name] for stage in stages) <= everything[name]
