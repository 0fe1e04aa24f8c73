"""VaultSecrets: vault files below secrets/, each a YAML mapping of names to quoted values, and secrets.lock beside them.

A file is encrypted as a whole, or it is a plain mapping in which each value is a vault of its own (`!vault`). It stays
what it is: of the second kind, a value that did not change keeps its ciphertext. Clear text is refused in both.

The lock's fingerprints are HMAC-SHA256 under a key that is itself a secret: a plan sees that a value changed without
a password, and nobody can guess a weak value from the lock.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from fleet.adapters.disk import cannot, sync_folder, write_atomic
from fleet.adapters.vault.password import Password
from fleet.errors import UsageError
from fleet.formats import FormatError, vault, yaml
from fleet.formats.vaulted import ClearTextError, dump_vaulted, read_vaulted
from fleet.model.secret import LockedSecret, SecretsLock

FOLDER = "secrets"
LOCK = f"{FOLDER}/secrets.lock"
KEY_FILE = f"{FOLDER}/fleet.yaml"
KEY_NAME = "fleet.fingerprint-key"
_MAX_BYTES = 16 * 1024 * 1024


class VaultSecrets:
    """Fills `ports.Secrets`. `root` is the fleet's folder; the password is asked for when a value is needed.

    Raises UsageError for a wrong password, a file that is not encrypted or not a mapping of texts, and what the disk
    refuses.
    """

    def __init__(self, root: Path, password: Password) -> None:
        self._root = root
        self._password = password
        self._held: dict[str, dict[str, str]] = {}
        """What is on disk as far as we read or wrote it: opening a vault costs milliseconds."""
        self._sealed: dict[str, dict[str, str]] = {}
        """The ciphertexts in files of the second kind."""

    def read(self, file: str) -> Mapping[str, str]:
        """Name -> value; empty when there is no such file yet."""
        if file not in self._held:
            self._held[file] = self._open(file)
        return dict(self._held[file])

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

    def _key(self, lock: SecretsLock) -> bytes:
        """The fleet's own key, made at the first write. It is never made anew: all fingerprints would change."""
        held = self.read(KEY_FILE)
        if KEY_NAME in held:
            return _unhex(held[KEY_NAME])
        if lock.secrets:
            raise UsageError(
                f"{LOCK} holds fingerprints, and their key is not in {KEY_FILE}", f"take {KEY_FILE} from git again"
            )
        key = secrets.token_bytes(32)
        self._save(KEY_FILE, {KEY_NAME: key.hex(), **held})
        return key

    def _open(self, file: str) -> dict[str, str]:
        data = self._bytes(file)
        if data is None:
            return {}
        if not vault.is_vault(data):
            return self._open_each(file, data)
        try:
            documents = yaml.parse(vault.decrypt(data, {vault.DEFAULT_ID: self._password()}))
        except vault.VaultError as error:
            raise UsageError(f"{file}: {error.problem}", error.hint) from None
        except FormatError as error:
            raise UsageError(f"{file} holds no YAML: {error}", f"ansible-vault edit {file}") from None
        return _values(file, documents)

    def _open_each(self, file: str, data: bytes) -> dict[str, str]:
        """A mapping of names to vaults."""
        try:
            sealed = read_vaulted(data)
        except ClearTextError as error:
            if b"!vault" in data:
                raise UsageError(f"{file}:{error.line}:{error.column}: {error.problem}", error.hint) from None
            hint = f"ansible-vault encrypt {file}; and change what it held"
            raise UsageError(f"{file} is not encrypted", hint) from None
        except FormatError as error:
            hint = f"ansible-vault encrypt {file}; and change what it held"
            raise UsageError(f"{file} is not encrypted, and no mapping of vaults either: {error}", hint) from None
        values = {}
        for name, text in sealed.items():
            try:
                values[name] = vault.decrypt(text, {vault.DEFAULT_ID: self._password()}).decode()
            except vault.VaultError as error:
                raise UsageError(f"{file}: `{name}`: {error.problem}", error.hint) from None
            except UnicodeDecodeError:
                raise UsageError(f"{file}: expected `{name}` to be a text, found bytes that are not UTF-8") from None
        self._sealed[file] = sealed
        return values

    def _save(self, file: str, values: dict[str, str]) -> None:
        path = self._path(file)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise cannot("make the folder", path.parent, error) from None
        write_atomic(path, self._encrypted(file, values), sync=False)
        self._held[file] = values

    def _encrypted(self, file: str, values: dict[str, str]) -> bytes:
        if file not in self._sealed:
            return vault.encrypt(yaml.dump(values, sort_keys=True).encode(), self._password(), None).encode("ascii")
        sealed, held = self._sealed[file], self._held.get(file, {})
        self._sealed[file] = {
            name: sealed[name]
            if name in sealed and held.get(name) == value
            else vault.encrypt(value.encode(), self._password(), None)
            for name, value in values.items()
        }
        return dump_vaulted(self._sealed[file]).encode("ascii")

    def _bytes(self, file: str) -> bytes | None:
        path = self._path(file)
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

    def _path(self, file: str) -> Path:
        parts = PurePosixPath(file).parts
        if len(parts) < 2 or parts[0] != FOLDER or ".." in parts:
            raise UsageError(f"not a file of secrets: `{file}`", f"secrets lie below {FOLDER}/")
        return self._root / file


def fingerprint(key: bytes, name: str, value: str) -> str:
    """HMAC-SHA256 in hex over name, a zero byte and the value: equal values of two secrets look different."""
    return hmac.digest(key, name.encode() + b"\0" + value.encode(), "sha256").hex()


def _locked(before: LockedSecret | None, file: str, found: str) -> LockedSecret:
    if before is not None and before.fingerprint == found:
        return LockedSecret(file, before.version, found)
    return LockedSecret(file, 1 if before is None else before.version + 1, found)


def _values(file: str, documents: list[object]) -> dict[str, str]:
    content = documents[0] if len(documents) == 1 else {} if not documents else None
    if content is None or not isinstance(content, dict):
        raise UsageError(f"{file}: expected one mapping of names to values", f"ansible-vault edit {file}")
    for name, value in content.items():
        if not isinstance(value, str):
            found = "nothing" if value is None else f"a {type(value).__name__}"
            raise UsageError(
                f"{file}: expected `{name}` to be a text, found {found}", 'write it in quotes: NAME: "value"'
            )
    return dict(content)


def _unhex(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise UsageError(f"{KEY_NAME} in {KEY_FILE} is not 64 hex digits", f"take {KEY_FILE} from git again")
    return key
