"""The command line: `pychat serve`, `pychat config` and what else it has."""

import asyncio
import os
import sys
from pathlib import Path

import click
import msgspec
import uvloop

from pychat.cli_options import config_option, load
from pychat.database.commands import backup, restore, upgrade
from pychat.database.pool import without_secrets
from pychat.dynconf.commands import dynconf
from pychat.dynconf.report import report
from pychat.dynconf.schemas import DynamicConfigError
from pychat.logs import configure_logs
from pychat.settings import Settings

SECRETS = ("monitor.admin_token", "auth.signing_key")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pychat")
def main() -> None:
    """pychat, a chat server.

    \b
    Every command takes its settings from
      the environment   PYCHAT_<SECTION>__<KEY>, such as PYCHAT_HTTP__LISTEN=127.0.0.1:9000,
      over a file       --config FILE or $PYCHAT_CONFIG; configs/pychat.toml shows every key,
      over defaults     good for trying it out: no file is needed.
    """


@main.command()
@config_option
def serve(file: Path | None) -> None:
    """Start the server; Ctrl+C or SIGTERM stops it.

    Without database.url a Postgres of its own is started in database.data_dir and stopped with the server. The
    database's schema is brought up to date first.
    """
    settings = load(file).settings
    configure_logs(settings.log)
    # Not at the top: the other commands need not load the whole application.
    from pychat.server import serve as run  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exit_code = runner.run(run(settings))
    # Not sys.exit: native threads that come to the interpreter while it is being taken apart would panic.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


@main.command()
@config_option
def config(file: Path | None) -> None:
    """Show the settings in force, and where each is from. Secrets are masked.

    Then the dynamic config: as the running server tells it on its operators' listener. Where none runs, as the config
    service that it would follow has it, or as it would start with while that does not answer.
    """
    loaded = load(file)
    rows = []
    for section, keys in msgspec.to_builtins(loaded.settings, enc_hook=str).items():
        rows += [(f"{section}.{name}", value) for name, value in keys.items()]
    for key, value in sorted(rows):
        click.echo(f"{key:<26} {_shown(key, value):<40} {loaded.sources[key]}")
    try:
        heading, dynamic = asyncio.run(report(loaded.settings))
    except DynamicConfigError as error:
        click.echo(f"pychat: {error}", err=True)
        sys.exit(1)
    click.echo(f"\n{heading}")
    for key, value, source in dynamic:
        click.echo(f"{key:<40} {_shown(key, value):<26} {source}")


@main.command()
@config_option
def migrate(file: Path | None) -> None:
    """Bring the database's schema up to date, as `serve` does when it starts.

    Useful before several servers are started, or to try an update while nobody is served. With the embedded database
    the server must be stopped.
    """
    settings = load(file).settings
    configure_logs(settings.log)
    sys.exit(asyncio.run(_migrate(settings)))


async def _migrate(settings: Settings) -> int:
    from pychat.database.embedded import EmbeddedPostgres  # noqa: PLC0415
    from pychat.database.migrate import migrate as apply  # noqa: PLC0415
    from pychat.server import START_ERRORS, open_database  # noqa: PLC0415

    postgres = None if settings.database.url else EmbeddedPostgres(settings.database.data_dir)
    try:
        async with open_database(settings, postgres) as database:
            applied = await apply(database)
    except START_ERRORS as error:
        click.echo(f"pychat: {error}", err=True)
        return 1
    click.echo(f"applied {', '.join(applied)}" if applied else "the schema is up to date")
    return 0


main.add_command(backup)
main.add_command(restore)
main.add_command(upgrade)
main.add_command(dynconf)


def _shown(key: str, value: object) -> str:
    if key in SECRETS and value:
        return "********"
    if key in ("database.url", "dynamic_config.url") and value:
        return without_secrets(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in ("", None) else str(value)
