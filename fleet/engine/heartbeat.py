"""Keeps a lease alive while a rollout is driven."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fleet.errors import BusyError, UnavailableError
from fleet.ports.journal import LEASE_SECONDS, Journal, Lease

BEAT_SECONDS = LEASE_SECONDS / 3
"""Two beats may be missed."""


class Heartbeat:
    """Renews `lease` in a thread of its own. `lost` says that a newer controller has it; `wake` is called then."""

    def __init__(self, journal: Journal, lease: Lease, wake: Callable[[], None], every: float) -> None:
        self.lease = lease
        self.lost: BusyError | None = None
        self._journal = journal
        self._wake = wake
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{lease.epoch}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._journal.release(self.lease)

    def _beat(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._journal.renew(self.lease)
            except UnavailableError:
                continue  # a disk that is full for a moment: the next beat may come through
            except BusyError as error:
                self.lost = error
                self._wake()
                return
