"""VaultSecrets: vault files below secrets/, each a YAML mapping of names to quoted values, and secrets.lock beside them.

A file is encrypted as a whole, or it is a plain mapping in which each value is a vault of its own (`!vault`). It stays
what it is, and keeps its vault ids: of the second kind, a value that did not change keeps its ciphertext. Clear text is
refused in both.

The lock's fingerprints are HMAC-SHA256 under a key that is itself a secret: a plan sees that a value changed without
a password, nobody can guess a weak value from the lock, and another password changes no fingerprint.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from fleet.adapters.disk import cannot, sync_folder, write_atomic
from fleet.adapters.vault.opening import Opened, open_vaults, told
from fleet.adapters.vault.password import Password
from fleet.errors import UsageError
from fleet.formats import vault, yaml
from fleet.formats.vaulted import dump_vaulted
from fleet.model.problem import Problem
from fleet.model.secret import LockedSecret, SecretsLock, VaultRekeyed

FOLDER = "secrets"
LOCK = f"{FOLDER}/secrets.lock"
KEY_FILE = f"{FOLDER}/fleet.yaml"
KEY_NAME = "fleet.fingerprint-key"
_MAX_BYTES = 16 * 1024 * 1024
_CHANGED = "`fleet secret generate --edited` lists what people changed by hand: then look at the plan, and commit"
_HALFWAY = "if a rekey was cut short, `fleet secret rekey` with the old and the new password goes on"


class VaultSecrets:
    """Fills `ports.Secrets`. `root` is the fleet's folder; the password is asked for when a value is needed.

    Raises UsageError for a wrong password, a file that is not encrypted or not a mapping of texts, and what the disk
    refuses.
    """

    def __init__(self, root: Path, password: Password) -> None:
        self._root = root
        self._password = password
        self._held: dict[str, Opened] = {}
        """What is on disk as far as we read or wrote it: opening a vault costs milliseconds."""

    def read(self, file: str) -> Mapping[str, str]:
        """Name -> value; empty when there is no such file yet."""
        return dict(self._open(file).values)

    def write(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Each file whole, and after all of them the lock: what a crash leaves unlisted, the next write lists."""
        lock = self.lock()
        key = self._key(lock)
        locked = dict(lock.secrets)
        for file, values in sorted(files.items()):
            kept = dict(values) | {KEY_NAME: key.hex()} if file == KEY_FILE else dict(values)
            if self.read(file) != kept:
                self._save(file, kept)
            for name in [name for name, secret in locked.items() if secret.file == file and name not in values]:
                del locked[name]
            for name, value in values.items():
                if name != KEY_NAME:
                    locked[name] = _locked(locked.get(name), file, fingerprint(key, name, value))
        if locked != lock.secrets:
            for folder in sorted({self._path(file).parent for file in (KEY_FILE, *files)}):
                sync_folder(folder)
            after = SecretsLock(secrets=dict(sorted(locked.items())))
            text = msgspec.json.format(msgspec.json.encode(after, order="sorted"), indent=1) + b"\n"
            write_atomic(self._root / LOCK, text, 0o644)

    def lock(self) -> SecretsLock:
        """Needs no password. Empty when there is none yet."""
        data = self._bytes(LOCK)
        if data is None:
            return SecretsLock()
        try:
            return msgspec.json.decode(data, type=SecretsLock)
        except msgspec.DecodeError as error:
            raise UsageError(f"{LOCK} is not as fleet wrote it: {error}", "take it from git again") from None

    def problems(self, wanted: Mapping[str, LockedSecret]) -> Sequence[Problem]:
        """In the order of files and lines. Where the password opens no file at all, that is raised, once."""
        files: dict[str, list[str]] = {}
        for name, secret in wanted.items():
            files.setdefault(secret.file, []).append(name)
        if not files:
            return ()
        opened = {file: self._opened(file) for file in sorted({KEY_FILE, *files})}
        locked = [file for file, each in opened.items() if each.is_locked]
        if locked and not any(each.values for each in opened.values()):
            self._open(locked[0])
        found = [problem for each in opened.values() for problem in each.problems]
        key = b"" if opened[KEY_FILE].problems else self._key_in(opened[KEY_FILE].values)
        for file, names in files.items():
            if key and not opened[file].problems:
                found += self._differing(file, {name: wanted[name] for name in names}, key)
        return sorted(msgspec.structs.replace(each, line=each.line or 1, column=each.column or 1) for each in found)

    def rekey(self, new: Password) -> Iterator[VaultRekeyed]:
        from fleet.adapters.vault.rekeying import rekey

        yield from rekey(self._root, self._password, new)
        self._password = new
        self._held.clear()

    def _differing(self, file: str, wanted: Mapping[str, LockedSecret], key: bytes) -> Iterator[Problem]:
        """What is not the value that is locked."""
        values = self._opened(file).values
        for name, locked in wanted.items():
            if name not in values:
                yield Problem(file, 0, 0, "", f"`{name}` is not in it, as {LOCK} says", f"Take {file} from git again")
            elif fingerprint(key, name, values[name]) != locked.fingerprint:
                message = f"`{name}` is not the value that {LOCK} lists: somebody changed one of the two"
                yield Problem(file, 0, 0, "", message, _CHANGED)

    def _key(self, lock: SecretsLock) -> bytes:
        """The fleet's own key, made at the first write. It is never made anew: all fingerprints would change."""
        held = self.read(KEY_FILE)
        if KEY_NAME in held or lock.secrets:
            return self._key_in(held)
        key = secrets.token_bytes(32)
        self._save(KEY_FILE, {KEY_NAME: key.hex(), **held})
        return key

    @staticmethod
    def _key_in(held: Mapping[str, str]) -> bytes:
        if KEY_NAME not in held:
            raise UsageError(
                f"{LOCK} holds fingerprints, and their key is not in {KEY_FILE}", f"take {KEY_FILE} from git again"
            )
        return _unhex(held[KEY_NAME])

    def _open(self, file: str) -> Opened:
        """Raises UsageError with all that is wrong in the file."""
        opened = self._opened(file)
        if opened.problems:
            hint = opened.problems[0].hint
            if opened.is_locked:
                hint += f"; {_HALFWAY}"
            raise UsageError("\n".join(told(problem) for problem in opened.problems), hint)
        return opened

    def _opened(self, file: str) -> Opened:
        if file not in self._held:
            data = self._bytes(file)
            self._held[file] = Opened() if data is None else open_vaults(file, data, [self._password()])
        return self._held[file]

    def _save(self, file: str, values: dict[str, str]) -> None:
        path = self._path(file)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise cannot("make the folder", path.parent, error) from None
        before = self._open(file)
        if before.sealed is None:
            text = vault.encrypt(yaml.dump(values, sort_keys=True).encode(), self._password(), before.vault_id)
            after = msgspec.structs.replace(before, values=values)
        else:
            sealed = {name: self._sealed(before, before.sealed, name, value) for name, value in values.items()}
            text, after = dump_vaulted(sealed), msgspec.structs.replace(before, values=values, sealed=sealed)
        write_atomic(path, text.encode("ascii"), sync=False)
        self._held[file] = after

    def _sealed(self, before: Opened, sealed: Mapping[str, str], name: str, value: str) -> str:
        if name not in sealed:
            return vault.encrypt(value.encode(), self._password(), None)
        if before.values[name] == value:
            return sealed[name]
        return vault.encrypt(value.encode(), self._password(), vault.vault_id_of(sealed[name]))

    def _bytes(self, file: str) -> bytes | None:
        return bytes_of(self._path(file), file)

    def _path(self, file: str) -> Path:
        parts = PurePosixPath(file).parts
        if len(parts) < 2 or parts[0] != FOLDER or ".." in parts:
            raise UsageError(f"not a file of secrets: `{file}`", f"secrets lie below {FOLDER}/")
        return self._root / file


def bytes_of(path: Path, file: str) -> bytes | None:
    """None where there is none. Raises UsageError for one that is too large, and for what the disk refuses."""
    try:
        with path.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from None
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{file}: expected at most {_MAX_BYTES:,} bytes, found more")
    return data


def fingerprint(key: bytes, name: str, value: str) -> str:
    """HMAC-SHA256 in hex over name, a zero byte and the value: equal values of two secrets look different."""
    return hmac.digest(key, name.encode() + b"\0" + value.encode(), "sha256").hex()


def _locked(before: LockedSecret | None, file: str, found: str) -> LockedSecret:
    if before is not None and before.fingerprint == found:
        return LockedSecret(file, before.version, found)
    return LockedSecret(file, 1 if before is None else before.version + 1, found)


def _unhex(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise UsageError(f"{KEY_NAME} in {KEY_FILE} is not 64 hex digits", f"take {KEY_FILE} from git again")
    return key
