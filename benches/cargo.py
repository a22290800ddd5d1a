"""Runs a bench that is written in Rust."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def run_bench(name: str, *arguments: str, **environment: str) -> str:
    """What it printed; cargo's own words and what it writes to stderr are shown."""
    libpython: str = sysconfig.get_config_var("LIBDIR")
    variables = {
        **os.environ,
        **environment,
        # As in the Makefile: the same interpreter, lest everything is built anew, and its library, which a bench links.
        "PYO3_PYTHON": sys.executable,
        "LD_LIBRARY_PATH": ":".join(filter(None, [libpython, os.environ.get("LD_LIBRARY_PATH")])),
    }
    command = ["cargo", "bench", "--locked", "--bench", name, "--", *arguments]
    root = Path(__file__).parents[1]
    return subprocess.run(command, check=True, cwd=root, env=variables, stdout=subprocess.PIPE, text=True).stdout
