"""Secret values: read and written only through vault files; a plan never asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Secrets(Protocol):
    """`files` maps a vault file's path below the repository to NAME -> value. Raises `UsageError` without a password."""

    def read(self, file: str) -> Mapping[str, str]: ...

    def write(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Writes each vault file whole (0600, atomic, fsync) and updates secrets.lock last."""
        ...
