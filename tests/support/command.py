"""The command line, in a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    exit_code: int
    output: str


def surroundings() -> dict[str, str]:
    """What a process of pychat inherits: all but the caller's own PYCHAT_* variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYCHAT_")}


def pychat(*args: str, **environment: str) -> Result:
    """Runs one command to its end."""
    ran = subprocess.run(
        [sys.executable, "-m", "pychat", *args],
        env={**surroundings(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return Result(ran.returncode, ran.stdout)
