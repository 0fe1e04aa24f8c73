"""An Ansible inventory on a disk, with the variables beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fleet.model.translation import InventorySource


class Inventories(Protocol):
    def read(self, path: Path, shown: str) -> InventorySource:
        """The files that Ansible would read for `-i path`, in its order. `shown` is how users named it.

        A file that cannot be read is there with its trouble. Raises UsageError where there is nothing to read at all.
        """
        ...
