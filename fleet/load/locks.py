"""fleet.lock and secrets/secrets.lock: JSON that `fleet lock` and `fleet secret` write, and nobody else."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from fleet.formats import FormatError
from fleet.load.mistakes import MistakeList
from fleet.load.reading import Reader
from fleet.model.lock import Lock
from fleet.model.secret import SecretsLock

LOCK_FILE = "fleet.lock"
SECRETS_LOCK_FILE = "secrets/secrets.lock"
_BYTE = re.compile(r"byte (\d+)")
L = TypeVar("L", Lock, SecretsLock)


def read_lock(reader: Reader, mistakes: MistakeList) -> Lock:
    """The lock, an empty one where there is none."""
    return _read(LOCK_FILE, Lock(), "fleet lock", reader, mistakes)


def read_secrets_lock(reader: Reader, mistakes: MistakeList) -> SecretsLock:
    """The fingerprints of secrets, none where there is no file."""
    return _read(SECRETS_LOCK_FILE, SecretsLock(), "fleet secret", reader, mistakes)


def _read(file: str, absent: L, command: str, reader: Reader, mistakes: MistakeList) -> L:
    data = reader.read(file)
    if data is None:
        return absent
    hint = f"Take it from git again, or let `{command}` write it."
    try:
        lock = msgspec.json.decode(data.decode(), type=type(absent))
    except msgspec.ValidationError as error:
        mistakes.malformed(file, FormatError(f"not as `{command}` writes it: {error}", hint, 1, 1))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        mistakes.malformed(file, FormatError(f"byte 0x{data[error.start]:02x} is not UTF-8", hint, line, 1))
    except msgspec.DecodeError as error:
        mistakes.malformed(file, _malformed(data, str(error), hint))
    else:
        if lock.format == absent.format:
            return lock
        message = f"expected the format {absent.format}, found `{lock.format[:40]}`"
        mistakes.malformed(file, FormatError(message, "A newer fleet wrote it: use that one.", 1, 1))
    return absent


def _malformed(data: bytes, message: str, hint: str) -> FormatError:
    if b"<<<<<<<" in data:
        before = data[: data.index(b"<<<<<<<")]
        return FormatError("holds a merge conflict", hint, before.count(b"\n") + 1, 1)
    match = _BYTE.search(message)
    before = data[: int(match[1])] if match else b""
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return FormatError("is not JSON", hint, line, column)
