"""Moves the embedded database to this version's Postgres: a server of each version, everything copied across.

The new cluster is made in a folder of its own and takes the old one's place only when it is whole, so that an upgrade
can be interrupted at any moment and begun, or finished, later. The old one stays beside it, as `postgres-16`.
"""

import shutil
from pathlib import Path

from pychat.database.dump import Tell, copy
from pychat.database.embedded import UPGRADE, EmbeddedPostgres, major_of
from pychat.database.server_files import OLDER_MAJORS, SERVER_MAJOR, EmbeddedPostgresError


async def upgrade_cluster(data_dir: Path, tell: Tell) -> Path | None:
    """Returns where the old cluster is kept; None where nothing was to be done.

    Raises:
        EmbeddedPostgresError: the old version is unknown here, `data_dir` is in use, or an older copy is in the way.
        DumpError, OSError: the copy failed; the old cluster is as it was.
    """
    major = major_of(data_dir)
    workplace = data_dir / UPGRADE
    if major is None and (workplace / "postgres").exists():
        # It was interrupted between the two renames.
        _take_place(workplace, data_dir)
        return max(data_dir.glob("postgres-*"))  # noqa: ASYNC240 # nobody else is on this loop
    if major is None or major == SERVER_MAJOR:
        return None
    if major not in OLDER_MAJORS:
        raise EmbeddedPostgresError(
            f"{data_dir / 'postgres'} is Postgres {major}'s; this pychat knows {', '.join(map(str, OLDER_MAJORS))} "
            f"and {SERVER_MAJOR}"
        )
    old, new = EmbeddedPostgres(data_dir, major), EmbeddedPostgres(workplace)
    kept = data_dir / f"postgres-{major}"
    if kept.exists():
        raise EmbeddedPostgresError(f"{kept} is there already, from an upgrade before: move it away or delete it")
    try:
        source_url = await old.start()
        try:
            # A cluster that an interrupted upgrade has left there is emptied first, as any restore's target is.
            await copy(source_url, await new.start(), data_dir, SERVER_MAJOR, tell)
        finally:
            await new.stop()
        await old.stop_server()
        (data_dir / "postgres").rename(kept)
        _take_place(workplace, data_dir)
    finally:
        await old.stop()
    return kept


def _take_place(workplace: Path, data_dir: Path) -> None:
    (workplace / "postgres").rename(data_dir / "postgres")
    shutil.rmtree(workplace)
