"""What -v and -vv print: structured lines on stderr, with secrets taken out (`redaction`). Without -v, structlog is not loaded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Diagnostics:
    """`verbosity` 0 prints nothing, 1 what is done, 2 also how long each stage took, in ms."""

    def __init__(self, verbosity: int, log_format: str) -> None:
        self._verbosity = verbosity
        self._log = _logger(log_format) if verbosity else None

    def info(self, event: str, **values: Any) -> None:
        if self._log is not None:
            self._log.info(event, **values)

    def bug(self, error: BaseException) -> None:
        if self._log is not None:
            import traceback

            self._log.error("traceback", text="".join(traceback.format_exception(error)))

    @contextmanager
    def stage(self, name: str, **values: Any) -> Iterator[None]:
        """-v says that it began, -vv how long it took and how much of that was CPU."""
        self.info(name, **values)
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        if self._log is not None and self._verbosity > 1:
            self._log.debug(
                f"{name} done",
                ms=round((time.perf_counter() - wall) * 1000, 1),
                cpu_ms=round((time.process_time() - cpu) * 1000, 1),
            )


def _logger(log_format: str) -> Any:
    import structlog

    from fleet.cli.redaction import redact

    last = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=24)
    )
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            last,
        ],
        wrapper_class=structlog.BoundLogger,
    )
