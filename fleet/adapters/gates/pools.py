"""Connections of urllib3 that say when they are made, so that their sockets can be cut."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

Taken = Callable[[socket.socket], None]


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
