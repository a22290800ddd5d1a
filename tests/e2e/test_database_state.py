"""`pychat_database_up`, which somebody is woken by: true also while nobody needs the database."""

from collections.abc import Callable
from pathlib import Path

from tests.support.door import through_the_edge
from tests.support.metrics import Scrape
from tests.support.postgres import Postgres
from tests.support.server import Options, Server, running
from tests.support.wait import wait_until


def is_up(server: Server) -> bool:
    """What Prometheus reads, which asks the database nothing."""
    return Scrape.of(server).value("pychat_database_up") == 1


@through_the_edge
def test_a_database_that_goes_and_comes_is_noticed_without_a_request(
    server_options: Callable[..., Options], workspace: Path
) -> None:
    postgres = Postgres(workspace / "database-state")
    postgres.start()
    try:
        with running(server_options(PYCHAT_DATABASE__URL=postgres.new_database())) as server:
            with postgres.frozen():
                wait_until(lambda: not is_up(server), "the silence is noticed")
                postgres.kill()
            # It is started again by itself.
            wait_until(lambda: is_up(server), "the return is noticed")
    finally:
        postgres.close()
