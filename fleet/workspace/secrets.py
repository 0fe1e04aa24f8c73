"""Secrets of a fleet folder: made, stored, told, listed, rotated, and brought under another password."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.model.secret import SecretRow
    from fleet.operations.intent import Intent
    from fleet.operations.secret import SecretEvent
    from fleet.wiring import PasswordSource, Wiring


class Secrets:
    """Of one fleet folder; `workspace.secrets`. `read` gives what git says. Only what a call needs is opened."""

    def __init__(self, wiring: Wiring, read: Callable[[str], Intent]) -> None:
        self._wiring = wiring
        self._read = read

    def generate(self, *, edited: bool = False) -> Iterator[SecretEvent]:
        """Makes the K3s tokens that clusters lack, and lists what people keep in vault files of their own; a value
        that is there is never changed. `edited`: in those of clusters too, each of which is opened for it.
        """
        from fleet.operations.secret import generate, list_own

        intent = self._read("")
        clusters, store = intent.fleet.clusters.values(), self._wiring.secrets
        yield from list_own(intent.tree.files, clusters, intent.spec.secrets_lock, store, everything=edited)
        yield from generate(clusters, store.lock() if edited else intent.spec.secrets_lock, store)

    def store(self, name: str, value: bytes, *, file: str = "") -> Iterator[SecretEvent]:
        """Puts a value under a name, in `file` where the name is new. Raises UsageError for what cannot be a secret."""
        from fleet.operations.secret import store_value

        yield from store_value(name, value, file, self._read("").fleet.clusters.values(), self._wiring.secrets)

    def value(self, name: str) -> str:
        """Raises UsageError for a name that there is not."""
        from fleet.operations.secret import value_of

        return value_of(name, self._wiring.secrets)

    def names(self) -> Sequence[str]:
        """What secrets.lock lists, without a password and without the spec."""
        return sorted(self._wiring.secrets.lock().secrets)

    def rows(self) -> Sequence[SecretRow]:
        """Each secret, its file and version, and who uses it. Needs no password."""
        from fleet.operations.secret.listing import rows

        return rows(self._read(""))

    def rotate(self, names: Sequence[str], *, forget_previous: bool = False) -> Iterator[SecretEvent]:
        """New values for K3s tokens; the old one of a server token is kept as NAME.previous."""
        from fleet.operations.secret import rotate

        clusters = self._read("").fleet.clusters.values()
        yield from rotate(names, clusters, self._wiring.secrets, forgets=forget_previous)

    def rekey(self, new: PasswordSource) -> Iterator[SecretEvent]:
        """Another password for every vault file; goes on with one that was cut short. Needs no valid spec."""
        from fleet.operations.secret import rekey

        yield from rekey(self._wiring.secrets, new)
