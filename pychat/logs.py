"""Logging: lines for people on a terminal, JSON for everything else."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog

from pychat.settings import Log

_QUOTING = ("detail", "hint", "context", "query", "internal_query")
"""What of a database's error may quote rows and statements."""


def configure_logs(settings: Log) -> None:
    """Sends structlog's events to standard error; other libraries' warnings go the same way.

    Stacks are shown without local variables, which may be passwords, and the database's errors without people's data.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    readable = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = [structlog.processors.ExceptionRenderer(_stacks)]
    if readable:
        plain = structlog.dev.plain_traceback
        renderer.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    else:
        renderer.append(structlog.processors.JSONRenderer())
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _stacks(exc_info: structlog.typing.ExcInfo) -> str:
    """The stacks of an exception and of what led to it; a database's error has no more than its main line there: below
    it Postgres shows the whole row that broke a constraint."""
    with _quoting_nothing(exc_info[1]):
        return "".join(traceback.format_exception(*exc_info)).rstrip("\n")


@contextmanager
def _quoting_nothing(error: BaseException) -> Iterator[None]:
    """For as long as the block lasts: whoever handles the error next is to find it whole."""
    errors = [one for one in _chain(error, set()) if isinstance(one, asyncpg.PostgresError)]
    kept = [(one, one.args, {name: vars(one)[name] for name in _QUOTING if name in vars(one)}) for one in errors]
    try:
        for one, _, fields in kept:
            vars(one).update(dict.fromkeys(fields))
            if isinstance(one, asyncpg.DataError):  # its main line quotes what was not to the database's liking
                one.args = (f"SQLSTATE {one.sqlstate}",)
        yield
    finally:
        for one, args, fields in kept:
            one.args = args
            vars(one).update(fields)


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """`error` and all that a traceback shows with it."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    together = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for one in (error.__cause__, error.__context__, *together):
        yield from _chain(one, seen)
