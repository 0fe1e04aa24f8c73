"""What -v and -vv print: structured lines on stderr, with secrets taken out. Without -v, structlog is not loaded."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(r"pass(word|phrase|wd)|secret|token|private_?key|credential|authorization", re.IGNORECASE)
_SECRET_TEXT = (
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bK10[0-9a-f]{16,}::[^\s\"']+"),
    re.compile(r"\$ANSIBLE_VAULT;[0-9A-Za-z.;_\-\s]*"),
    re.compile(r"(?<=password=)\S+|(?<=token=)\S+|(?<=password: )\S+|(?<=token: )\S+", re.IGNORECASE),
)

EventDict = MutableMapping[str, Any]


def redacted(text: str) -> str:
    """`text` without what looks like a secret: credentials in a URL, private keys, K3s tokens, vaults."""
    for pattern in _SECRET_TEXT:
        text = pattern.sub(HIDDEN, text)
    return text


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = redacted(value)
    return event


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
