"""An applier that stands around another one."""

from __future__ import annotations

import threading

from fleet.errors import StoppedError
from fleet.ports.applier import Applier


class ApplierAround:
    """What is told to stop tells the one inside, and begins nothing more itself."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self._is_stopped = threading.Event()

    def stop_now(self) -> None:
        self._is_stopped.set()
        self._applier.stop_now()

    def _go_on(self, batch: str) -> None:
        """Raises StoppedError after `stop_now`."""
        if self._is_stopped.is_set():
            raise StoppedError(f"batch {batch} was ended")
