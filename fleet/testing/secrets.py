"""MemorySecrets: vault files in memory, with a password that fits or does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from fleet.errors import UsageError
from fleet.model.problem import Problem
from fleet.model.secret import LockedSecret, SecretsLock, VaultRekeyed


class MemorySecrets:
    """Fills `ports.Secrets`. `opened` are the files that somebody wanted, in order; `password` may be changed."""

    def __init__(self, password: bytes = b"open sesame", *, fits: bool = True) -> None:
        self.password = password
        self.opened: list[str] = []
        self._fits = fits
        self._files: dict[str, dict[str, str]] = {}
        self._lock = SecretsLock()

    def read(self, file: str) -> Mapping[str, str]:
        self.opened.append(file)
        if not self._fits:
            raise UsageError(f"{file}: the password does not open it")
        return dict(self._files.get(file, {}))

    def write(self, files: Mapping[str, Mapping[str, str]]) -> None:
        locked = dict(self._lock.secrets)
        for file, values in files.items():
            self._files[file] = dict(values)
            for name in [name for name, secret in locked.items() if secret.file == file and name not in values]:
                del locked[name]
            for name, value in values.items():
                before, found = locked.get(name), fingerprint(name, value)
                if before is None or before.fingerprint != found:
                    locked[name] = LockedSecret(file, 1 if before is None else before.version + 1, found)
        self._lock = SecretsLock(secrets=locked)

    def lock(self) -> SecretsLock:
        return self._lock

    def problems(self, wanted: Mapping[str, LockedSecret]) -> Sequence[Problem]:
        for file in sorted({secret.file for secret in wanted.values()}):
            self.read(file)
        return [
            Problem(secret.file, 1, 1, "", f"`{name}` is not the value that is locked")
            for name, secret in sorted(wanted.items())
            if fingerprint(name, self._files.get(secret.file, {}).get(name, "")) != secret.fingerprint
        ]

    def rekey(self, new: Callable[[], bytes]) -> Iterator[VaultRekeyed]:
        if new() == self.password:
            raise UsageError("the new vault password is the old one")
        for done, file in enumerate(sorted(self._files), 1):
            yield VaultRekeyed(file, done, len(self._files))
        self.password = new()


def fingerprint(name: str, value: str) -> str:
    return hashlib.sha256(f"{name}\0{value}".encode()).hexdigest()
