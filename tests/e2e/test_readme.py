"""The conversation in the README works as pasted."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Server

README = Path(__file__).parents[2] / "README.md"
DEFAULT_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8080")


def conversation() -> str:
    """The README's first block of shell commands that uses curl."""
    blocks: list[str] = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if "curl" in block)


@pytest.mark.usefixtures("long_polls")
def test_the_conversation_works_as_pasted(server: Server, tmp_path: Path) -> None:
    script = DEFAULT_ADDRESS.sub(server.url.removeprefix("http://"), conversation())
    assert server.url in script
    ran = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert '"messages"' in ran.stdout
    assert '"text":"Hello Bob!"' in ran.stdout, ran.stdout
    assert '"code"' not in ran.stdout, ran.stdout
