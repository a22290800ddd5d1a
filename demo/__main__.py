"""Starts a server full of people, as `make demo` does. All of it is gone when it stops."""

import asyncio
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import uvloop

from demo.fill import PASSWORD, fill
from demo.talks import read_people, read_talks
from pychat.database.embedded import EmbeddedPostgres
from pychat.database.migrate import migrate
from pychat.logs import configure_logs
from pychat.server import open_database, serve
from pychat.settings import Settings, load_settings


async def run(settings: Settings) -> int:
    """Fills the database and serves it."""
    async with open_database(settings, EmbeddedPostgres(settings.database.data_dir)) as database:
        await migrate(database)
        await fill(database, read_people(), list(read_talks(datetime.now().astimezone())))
    print(
        "Two people to be, in two browsers or in one and a private window of it:\n"
        f"  username maya    password {PASSWORD}\n"
        f"  username jonas   password {PASSWORD}\n",
        flush=True,
    )
    return await serve(settings)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pychat-demo-", ignore_cleanup_errors=True) as folder:
        # As root the embedded Postgres runs as another user, who must get in.
        Path(folder).chmod(0o711)
        own = {"PYCHAT_DATABASE__DATA_DIR": folder, "PYCHAT_DATABASE__URL": "", "PYCHAT_AUTH__SIGNING_KEY": ""}
        settings = load_settings(None, {**os.environ, **own}).settings
        configure_logs(settings.log)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            exit_code = runner.run(run(settings))
    # As `pychat serve` ends: native threads are no good company for an interpreter that is being taken apart.
    sys.stdout.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    main()
