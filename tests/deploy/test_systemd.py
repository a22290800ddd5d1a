"""configs/pychat.service, as far as systemd's own tools judge it without running it."""

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from pychat.settings import load_settings

UNIT = Path(__file__).parents[2] / "configs" / "pychat.service"

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")


def analyze(*args: str | Path) -> str:
    ran = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With a program that is there in the place of the one that would be."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/pychat/.venv/bin/pychat", "/bin/true"))
    assert analyze("verify", unit) == ""


def test_the_service_is_well_confined() -> None:
    # 10 is a service that may do anything, 2 and below is what systemd calls OK.
    analyze("security", "--offline=true", "--threshold=20", UNIT)


def test_it_is_stopped_with_its_postgres_and_has_files_for_the_polls() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # as documented
    unit.read(UNIT)
    service = unit["Service"]
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "on-failure"
    assert service["StateDirectory"] == "pychat"
    own = dict([service["Environment"].split("=")])
    settings = load_settings(None, own).settings
    assert settings.database.data_dir == Path("/var/lib/pychat")
    assert int(service["LimitNOFILE"]) > 2 * settings.http.max_connections
