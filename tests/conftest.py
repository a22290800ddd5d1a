"""Servers and people for the tests.

`server` is a server with settings close to the defaults, one for each test process. A module that needs other
settings overrides the fixture `server` with one of its own, made by `launch`; `alice`, `bob` and `eve` follow it.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from pychat.database.migrate import migrate
from pychat.database.pool import Database
from tests.support.client import Api, Person
from tests.support.configs import Configs
from tests.support.door import DOORS, Door
from tests.support.postgres import Postgres, connected
from tests.support.server import SIGNING_KEY, Options, Server, running

# No example is judged by its time, nor how long it takes to draw one: the machine of the tests may be busy.
hypothesis.settings.register_profile("pychat", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("pychat")

DynamicConfig = Mapping[str, Mapping[str, object]]
Launch = Callable[..., AbstractContextManager[Server]]

# A poll that finds nothing ends soon; one test alone never comes near the limit of the sends.
QUICK_POLLS: DynamicConfig = {"POLLING_CONFIG": {"polling_time_sec": 1}}


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tells what was measured: it stands at the end of the run, on however many cores that was."""
    return partial(record_property, "figure")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    figures = [text for report in reports for name, text in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
    for text in figures:
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    """A folder that also the account which an embedded Postgres runs under can enter; pytest's own is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="pychat-tests-"))
    folder.chmod(0o755)
    yield folder
    # Where a test has failed, what it started may still write there.
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(workspace: Path) -> Iterator[Postgres]:
    """A Postgres server, on a Unix socket, that no server under test has started."""
    server = Postgres(workspace / "postgres")
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_postgres(workspace: Path, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A Postgres server that the tests of a module may stop."""
    server = Postgres(workspace / request.module.__name__.rpartition(".")[2])
    server.start()
    yield server
    server.close()


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Of an empty database."""
    return postgres.new_database()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """A pool on a database of each test's own, with pychat's tables in it."""
    async with connected(url) as pool:
        await migrate(pool)
        yield pool


@pytest.fixture(scope="session", params=DOORS, ids=[door.name for door in DOORS])
def door(request: pytest.FixtureRequest) -> Door:
    """The way in that this run of the test takes."""
    assert isinstance(request.param, Door)
    return request.param


@pytest.fixture(scope="session")
def server_options(door: Door, postgres: Postgres, workspace: Path) -> Callable[..., Options]:
    """Makes the options of a server with a folder and an empty database of its own."""

    def make(dynamic_config: DynamicConfig = QUICK_POLLS, **environment: str) -> Options:
        return new_options(door, postgres, workspace, dynamic_config, **environment)

    return make


def new_options(
    door: Door, postgres: Postgres, workspace: Path, dynamic_config: DynamicConfig, **environment: str
) -> Options:
    """The options of a server with a folder and an empty database of its own."""
    folder = workspace / f"server-{door.name}-{next(_numbers)}"
    own = {
        "PYCHAT_DATABASE__URL": postgres.new_database(),
        "PYCHAT_DATABASE__DATA_DIR": str(folder / "data"),
        "PYCHAT_AUTH__SIGNING_KEY": SIGNING_KEY,
    }
    return Options(folder, {**door.environment, **own, **environment}, dynamic_config)


_numbers = count(1)


@pytest.fixture(scope="session")
def launch(server_options: Callable[..., Options]) -> Launch:
    """Starts a server for a `with` block: `launch(dynamic_config, PYCHAT_SECTION__KEY="value", ...)`."""
    return lambda *args, **environment: running(server_options(*args, **environment))


@pytest.fixture(scope="session")
def server(launch: Launch) -> Iterator[Server]:
    with launch() as started:
        yield started


@pytest.fixture
def long_polls(server: Server) -> Iterator[None]:
    """Polls that nothing but a message ends, for tests that do something while one is held: a busy machine may take
    more than a second for it."""
    configs = Configs(partial(server.monitor, "POST"))
    configs.put({"POLLING_CONFIG": {"polling_time_sec": 3_600}})
    yield
    configs.delete("POLLING_CONFIG")


@pytest.fixture
def anybody(server: Server) -> Api:
    """Somebody without a token."""
    return server.anonymous()


@pytest.fixture
def alice(server: Server) -> Person:
    return server.person()


@pytest.fixture
def bob(server: Server) -> Person:
    return server.person()


@pytest.fixture
def eve(server: Server) -> Person:
    return server.person()
