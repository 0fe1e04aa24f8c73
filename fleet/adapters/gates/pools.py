"""Connections of urllib3 that say when they are made, so that their sockets can be cut; and that log nothing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

Taken = Callable[[socket.socket], None]
THREAD = "fleet-gate"
"""The name of threads in which gates ask."""


def _is_not_ours(record: logging.LogRecord) -> bool:
    """urllib3 logs whole URLs: at level debug each, and with a warning those whose headers cannot be read."""
    return record.threadName != THREAD


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_not_ours)


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, taken: Taken, **more: Any) -> None:
        super().__init__(*args, **more)
        self._taken = taken

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._taken(made)
        return made


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, taken: Taken, **more: Any) -> None:
        super().__init__(*args, **more)
        self._taken = taken

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._taken(made)
        return made


class Plain(HTTPConnectionPool):
    """`taken` goes to its connections."""

    ConnectionCls = _PlainConnection


class Tls(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
