"""Secret values: read and written only through vault files; a plan never asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from fleet.model.problem import Problem
from fleet.model.secret import LockedSecret, SecretsLock, VaultRekeyed


class Secrets(Protocol):
    """`files` maps a vault file's path below the repository to NAME -> value. Raises `UsageError` without a password."""

    def read(self, file: str) -> Mapping[str, str]: ...

    def write(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Writes each vault file whole (0600, atomic, fsync) and updates secrets.lock last."""
        ...

    def lock(self) -> SecretsLock:
        """What secrets.lock says now. Asks for no password."""
        ...

    def problems(self, wanted: Mapping[str, LockedSecret]) -> Sequence[Problem]:
        """All that keeps `wanted`, by name, from being used: files that do not open, values that are not there, or not
        those that the fingerprints are of. Opens the files of `wanted`, each once, and no other but the key's.
        """
        ...

    def rekey(self, new: Callable[[], bytes]) -> Iterator[VaultRekeyed]:
        """Gives every vault file another password: each is whole at any moment, under the old or the new one.

        Goes on where an earlier call ended. Values, fingerprints and secrets.lock stay. Raises `SpecError` with every
        file that opens with neither password, before anything is written.
        """
        ...
