"""`make load`: people by a profile, then a report with pictures; the exit code says whether its thresholds held."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psutil

from loadtest.charts import draw_run
from loadtest.history import latest_requests, read_history, read_requests
from loadtest.profile import Profile, ProfileError, load_profile, names
from loadtest.report import GENERATOR, SERVER, Stages, Verdict, judge, write_report
from loadtest.sampler import Sampler
from tests.support.folder import servers_folder
from tests.support.server import Options, running

RESULTS = Path(__file__).with_name("results")
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PROGRESS_EVERY_SEC = 5.0
STOP_TIMEOUT_SEC = 20  # longer than a person waits for the last messages


@click.command()
@click.argument("profile_name", metavar="PROFILE", default="smoke")
@click.option("--host", help="Load the server at this URL instead of one started for the test.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the report. [default: loadtest/results/PROFILE]"
)
def main(profile_name: str, host: str | None, out: Path | None) -> None:
    """Loads a server with people who chat in pairs, as PROFILE (a name or a .toml file) says.

    Writes report.html, charts.png, Locust's own locust.html and summary.json. Exits with 1 where a threshold of the
    profile did not hold.
    """
    try:
        profile = load_profile(profile_name)
    except ProfileError as error:
        raise click.UsageError(f"{error}\nProfiles: {', '.join(names())}") from None
    out = out or RESULTS / Path(profile_name).stem
    out.mkdir(parents=True, exist_ok=True)
    click.echo(f"{profile_name}: {profile.description}")
    with _server(host) as (url, pid):
        verdict, stages = _run(profile_name, profile, url, pid, out)
    click.echo(verdict.table())
    if stages:
        click.echo(f"\n{stages.table()}\n")
    click.echo(f"report: {out / 'report.html'}")
    sys.exit(0 if verdict.holds else 1)


@contextmanager
def _server(host: str | None) -> Iterator[tuple[str, int | None]]:
    """The URL to load and, where it runs here for this test alone, the process behind it."""
    if host:
        yield host, None
        return
    with servers_folder() as folder:
        options = Options(folder, {"PYCHAT_DATABASE__DATA_DIR": str(folder / "data")}, {})
        with running(options) as server:
            yield server.url, server.pid


def _run(name: str, profile: Profile, url: str, pid: int | None, out: Path) -> tuple[Verdict, Stages | None]:
    counted_file = out / "counted.json"
    history = out / "locust_stats_history.csv"
    for of_the_run_before in (counted_file, history):
        of_the_run_before.unlink(missing_ok=True)
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", url, "--headless", "--only-summary"]
    command += ["--csv", str(out / "locust"), "--csv-full-history", "--html", str(out / "locust.html")]
    command += ["--stop-timeout", str(STOP_TIMEOUT_SEC), "--loglevel", "WARNING"]
    environment = {
        **os.environ,
        "PYCHAT_LOAD_PROFILE": name,
        "PYCHAT_LOAD_COUNTED": str(counted_file),
        "PYTHONPATH": str(LOCUSTFILE.parent.parent),
    }
    began = datetime.now().astimezone()
    with (out / "locust.log").open("wb") as log:
        locust = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        processes = {GENERATOR: psutil.Process(locust.pid)}
        if pid is not None:
            processes = {SERVER: psutil.Process(pid), **processes}
        try:
            with Sampler(processes) as sampler:
                _wait(locust, profile, history)
        finally:
            locust.kill()
            locust.wait()
    if not counted_file.exists():
        raise click.ClickException(f"the load generator failed; see {out / 'locust.log'}")
    counted: dict[str, Any] = json.loads(counted_file.read_text())
    rows = counted["rows"]
    verdict = judge(profile, rows, sampler.samples)
    # One alone says what all rows say.
    stages = Stages.of(profile, counted["stages"]) if len(profile.stages) > 1 else None
    draw_run(
        out / "charts.png",
        f"pychat under the profile {name}",
        read_requests(history),
        read_history(history, "send"),
        read_history(history, "message"),
        sampler.samples,
    )
    write_report(out, name, profile, url, began, rows, verdict, stages)
    return verdict, stages


def _wait(locust: "subprocess.Popen[bytes]", profile: Profile, history: Path) -> None:
    """Until the load is over, with a line of progress now and then."""
    start = time.monotonic()
    while True:
        try:
            locust.wait(PROGRESS_EVERY_SEC)
        except subprocess.TimeoutExpired:
            now = latest_requests(history) if history.exists() else None
            state = (
                f"{now.users} people, {now.per_second:.0f} requests/s, {now.failed_per_second:.0f} failed/s"
                if now
                else "starting"
            )
            click.echo(f"  {time.monotonic() - start:5.0f} of {profile.seconds:.0f} s: {state}")
        else:
            return


if __name__ == "__main__":
    main()
