"""Another password for every vault file below secrets/.

All files are opened before one is written. Each is then exchanged whole, by a rename, so that at any moment it opens with
the old password or with the new one; who is killed in between runs it again with both. Values, vault ids and secrets.lock
stay as they are, and so does every fingerprint: their key is a value among the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fleet.adapters.disk import cannot, sync_folder, write_atomic
from fleet.adapters.vault.opening import Opened, open_vaults
from fleet.adapters.vault.password import Password
from fleet.errors import SpecError, UsageError
from fleet.formats import vault
from fleet.formats.vaulted import dump_vaulted
from fleet.model.problem import Problem
from fleet.model.secret import VaultRekeyed

FOLDER = "secrets"
_VAULTS = (".yaml", ".yml")
_LEFT_OVER = re.compile(r"\.(.+)\.[0-9a-f]{12}")
"""What `write_atomic` leaves beside a file when it is killed."""
_BOTH = "Give the old password with --vault-password-file and the new one with --new-vault-password-file"


class _Found(msgspec.Struct, frozen=True):
    """A file as it is on the disk: one that is changed meanwhile is not overwritten."""

    path: Path
    data: bytes
    opened: Opened


def rekey(root: Path, old: Password, new: Password) -> Iterator[VaultRekeyed]:
    """One event a file, when it has the new password. Raises SpecError with all that is wrong with any, UsageError for
    passwords that are the same, and for what the disk refuses.
    """
    passwords = [old(), new()]
    if passwords[0] == passwords[1]:
        raise UsageError("the new vault password is the old one", "give another one")
    files = vault_files(root)
    found = {file: _found(file, root / file, passwords) for file in files}
    problems = [problem for each in found.values() for problem in each.opened.problems]
    if problems:
        placed = [msgspec.structs.replace(each, line=each.line or 1, column=each.column or 1) for each in problems]
        raise SpecError(sorted(placed), len(files))
    for done, (file, each) in enumerate(found.items(), 1):
        has_it = each.opened.password > 0
        if not has_it:
            _exchange(file, each, passwords)
        yield VaultRekeyed(file, done, len(found), has_it)
    for folder in sorted({each.path.parent for each in found.values()}):
        _sweep(folder)
        sync_folder(folder)


def vault_files(root: Path) -> list[str]:
    """Paths below `root`, sorted. Hidden ones are not ours."""
    found = []
    for folder, folders, names in os.walk(root / FOLDER):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (Path(folder) / name).relative_to(root).as_posix()
            for name in names
            if name.endswith(_VAULTS) and not name.startswith(".")
        ]
    return sorted(found)


def _found(file: str, path: Path, passwords: list[bytes]) -> _Found:
    try:
        is_link, data = path.is_symlink(), path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from None
    if is_link:
        problem = Problem(file, 0, 0, "", "is a link, and would be replaced by a file", "Put the file itself here")
        return _Found(path, data, Opened(problems=(problem,)))
    opened = open_vaults(file, data, passwords)
    if opened.is_locked:
        problems = tuple(
            msgspec.structs.replace(each, message=f"{each.message}, and the new one does not either", hint=_BOTH)
            if "does not open it" in each.message or "do not open it" in each.message
            else each
            for each in opened.problems
        )
        opened = msgspec.structs.replace(opened, problems=problems)
    return _Found(path, data, opened)


def _exchange(file: str, found: _Found, passwords: list[bytes]) -> None:
    text = _sealed_again(found.opened, passwords[1])
    if found.path.read_bytes() != found.data:
        raise UsageError(f"{file} was changed while it was being rekeyed", "run it again: it goes on")
    write_atomic(found.path, text.encode("ascii"), sync=False)


def _sealed_again(opened: Opened, new: bytes) -> str:
    """Byte for byte what was in it; each value of a file of the second kind under its own vault id."""
    if opened.sealed is None:
        return vault.encrypt(opened.plain, new, opened.vault_id)
    values = opened.values
    return dump_vaulted(
        {
            name: vault.encrypt(values[name].encode(), new, vault.vault_id_of(text))
            for name, text in opened.sealed.items()
        }
    )


def _sweep(folder: Path) -> None:
    """What was being written when an earlier call was killed, under the old password perhaps."""
    for path in folder.iterdir():
        match = _LEFT_OVER.fullmatch(path.name)
        if match is not None and (folder / match[1]).exists():
            path.unlink(missing_ok=True)
