"""`pychat dynconf`: reads and changes what a config service holds, or is one."""

import asyncio
import difflib
import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
import uvloop
from msgspec import Raw

from pychat.cli_options import config_option, load
from pychat.dynconf.client import ConfigClient, ConfigServiceError
from pychat.dynconf.protocol import DEFAULT_SERVICE
from pychat.dynconf.report import service_url
from pychat.dynconf.schemas import KEYS
from pychat.logs import configure_logs

Work = Callable[..., Coroutine[Any, Any, None]]


@click.group()
def dynconf() -> None:
    """Read and change the dynamic config while servers run.

    \b
    The config service that is asked is
      the one at --url,
      else the one at dynamic_config.url,
      else that of the server with these settings, on its operators' listener.
    Changes present monitor.admin_token where there is one.
    """


@dynconf.command()
@config_option
def serve(file: Path | None) -> None:
    """Serve configs alone, at dynamic_config.listen, from the database of the settings; Ctrl+C or SIGTERM stops it."""
    settings = load(file).settings
    configure_logs(settings.log)
    # Not at the top: the other commands need not load the application.
    from pychat.dynconf.service import serve as run  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run(settings)))


def _asking(work: Work) -> Callable[..., None]:
    """Makes a command of `work`, which gets a client and the service whose configs are meant."""

    @config_option
    @click.option("--url", metavar="URL", help="The config service to ask.")
    @click.option("--service", metavar="NAME", help="Whose configs. Default: dynamic_config.service.")
    @wraps(work)
    def command(file: Path | None, url: str | None, service: str | None, **arguments: Any) -> None:
        settings = load(file).settings

        async def ask() -> None:
            client = ConfigClient(url or service_url(settings), settings.monitor.admin_token)
            try:
                await work(client, service or settings.dynamic_config.service, **arguments)
            finally:
                await client.close()

        try:
            asyncio.run(ask())
        except ConfigServiceError as error:
            _end(str(error))

    return command


@dynconf.command("list")
@_asking
async def list_configs(client: ConfigClient, service: str) -> None:
    """List the service's own configs."""
    found = await client.values(service)
    for name, value in sorted(found.configs.items()):
        click.echo(f"{name} {bytes(msgspec.json.format(value, indent=-1)).decode()}")


@dynconf.command()
@click.argument("names", nargs=-1, required=True)
@_asking
async def get(client: ConfigClient, service: str, names: Sequence[str]) -> None:
    """Show configs as they hold for the service: its own, else those of __default__."""
    found = await client.values(service, names)
    for name in names:
        if name in found.configs:
            click.echo(f"{name} {_pretty(found.configs[name])}")
    absent = [name for name in names if name not in found.configs]
    if absent:
        _end(f"not set for {service}: {', '.join(absent)}")


@dynconf.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--yes", is_flag=True, help="Send without asking.")
@_asking
async def set_config(client: ConfigClient, service: str, name: str, value: str, yes: bool) -> None:
    """Set the config NAME of the service to VALUE, which is JSON, whole: a field that it does not name has its default.

    Shows what will change, and asks before it is sent.
    """
    content = _json(value)
    _warn_of_unknown_names(name, content)
    before = (await client.values(service, [name])).configs
    after = {name: content}
    if _show_change(before, after, yes):
        await client.put(service, after)


@dynconf.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Send without asking.")
@_asking
async def delete(client: ConfigClient, service: str, names: Sequence[str], yes: bool) -> None:
    """Delete the service's own configs NAMES; those of __default__ then hold, else what each server starts with.

    Shows what will change, and asks before it is sent.
    """
    own = (await client.values(service)).configs
    absent = [name for name in names if name not in own]
    if absent:
        _end(f"{service} has none of its own: {', '.join(absent)}")
    default = {} if service == DEFAULT_SERVICE else (await client.values(DEFAULT_SERVICE, names)).configs
    if _show_change({name: own[name] for name in names}, default, yes):
        await client.delete(service, names)


def _json(text: str) -> Raw:
    try:
        content = text.encode()
        msgspec.json.decode(content)
    except (ValueError, RecursionError) as error:
        _end(f"the value is not JSON: {error}")
    return Raw(content)


def _warn_of_unknown_names(name: str, value: Raw) -> None:
    """The service takes them, for other services and versions may know them; who mistypes one should be told."""
    if name not in KEYS:
        for key in difflib.get_close_matches(name.upper(), KEYS, n=1, cutoff=0.8):
            click.echo(f"pychat: {name} is no key of pychat's; is {key} meant?", err=True)
    fields = msgspec.json.decode(value)
    if name in KEYS and isinstance(fields, dict):
        known = {field.encode_name for field in msgspec.structs.fields(KEYS[name])}
        for field in fields.keys() - known:
            click.echo(f"pychat: {name} has no field {field}; it will be ignored", err=True)


def _show_change(before: Mapping[str, Raw], after: Mapping[str, Raw], yes: bool) -> bool:
    """Shows the difference, and tells whether the change is to be sent."""
    old, new = (_lines(values, before.keys() | after.keys()) for values in (before, after))
    difference = list(difflib.unified_diff(old, new, "now", "then", lineterm="", n=100))
    click.echo("\n".join(difference) or "nothing would change")
    return bool(difference) and (yes or click.confirm("Send this?"))


def _lines(values: Mapping[str, Raw], names: Iterable[str]) -> list[str]:
    return "\n".join(f"{name} {_pretty(values[name])}" for name in sorted(names) if name in values).splitlines()


def _pretty(value: Raw) -> str:
    """Readable, and in one order, whatever order the database keeps."""
    return json.dumps(msgspec.json.decode(value), indent=4, sort_keys=True, ensure_ascii=False)


def _end(reason: str) -> NoReturn:
    click.echo(f"pychat: {reason}", err=True)
    sys.exit(1)
