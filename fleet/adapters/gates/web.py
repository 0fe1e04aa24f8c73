"""HttpWeb: URLs as the controller sees them.

Proxies are those of the environment (HTTPS_PROXY, NO_PROXY), as for mirrors; certificates are checked against the
system's store.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from fleet.adapters.gates.exchange import Ask, Exchange
from fleet.model.inquiry import Reply

if TYPE_CHECKING:
    import ssl

BODY_BYTES = 64 * 1024
"""Of an answer whose status is all that counts: it must come in time so far."""


class HttpWeb:
    """Fills `ports.Web`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[Exchange] = set()
        self._is_stopped = False

    def get(self, url: str, seconds: float, *, follows: bool = True) -> Reply:
        return self.fetch(Ask(url, seconds, BODY_BYTES, follows))

    def fetch(self, ask: Ask) -> Reply:
        """The same, of at most `limit` bytes and one chunk."""
        exchange = Exchange(ask, self._trusted)
        with self._lock:
            if self._is_stopped:
                exchange.cut()
            self._live.add(exchange)
        try:
            return exchange.reply()
        finally:
            with self._lock:
                self._live.discard(exchange)

    def stop_now(self) -> None:
        with self._lock:
            self._is_stopped = True
            live = list(self._live)
        for exchange in live:
            exchange.cut()

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """Made once: to read the system's store takes longer than to ask."""
        import ssl

        return ssl.create_default_context()
