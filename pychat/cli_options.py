"""What every command takes: its settings."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from pychat.settings import LoadedSettings, SettingsError, load_settings


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--config",
        "file",
        metavar="FILE",
        envvar="PYCHAT_CONFIG",
        type=click.Path(path_type=Path),
        help="Settings file (TOML). Default: $PYCHAT_CONFIG, else none.",
    )(command)


def load(file: Path | None) -> LoadedSettings:
    """The settings, or the end of the process with one line that says what is wrong with them."""
    try:
        return load_settings(file, os.environ)
    except SettingsError as error:
        click.echo(f"pychat: {error}", err=True)
        sys.exit(1)
