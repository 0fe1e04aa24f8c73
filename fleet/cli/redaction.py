"""What looks like a secret is taken out of diagnostics. Loaded with -v only: its patterns cost more than many a verb."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

if TYPE_CHECKING:
    from fleet.model.node_log import NodeLog

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


def log_redacted(log: NodeLog) -> NodeLog:
    """What Ansible printed went through `no_log` and fleet_bundle; this is the second look."""
    runs = (
        replace(run, output=tuple(redacted("\n".join(run.output)).splitlines())) if run.output else run
        for run in log.runs
    )
    return replace(log, runs=tuple(runs))


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = redacted(value)
    return event
