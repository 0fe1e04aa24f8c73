"""secret rekey: another password for all vault files. No value, no fingerprint and no digest changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.model.secret import VaultRekeyed
from fleet.operations.secret.events import RekeyComplete
from fleet.ports.secrets import Secrets


def rekey(store: Secrets, new: Callable[[], bytes]) -> Iterator[VaultRekeyed | RekeyComplete]:
    """One event a file, and one when all names last. Raises what the port raises."""
    files = before = 0
    for event in store.rekey(new):
        files, before = event.total, before + event.had_it
        yield event
    yield RekeyComplete(files, before)
