"""DiskInventories: the files that Ansible reads for `-i HOSTS`, and those of group_vars/ and host_vars/ beside them.

Source: ansible-core, ansible.inventory.manager (which names of a folder are passed over),
ansible.plugins.vars.host_group_vars and ansible.parsing.dataloader.find_vars_files (which file holds whose variables).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from fleet.errors import UsageError
from fleet.model.translation import InventorySource, PassedOver, SourceFile

_MOST_BYTES = 64 * 1024 * 1024
_MOST_FILES = 200_000
_DEEPEST = 32
_IGNORED = re.compile(r"^\.|^(?:host_vars|group_vars|vars_plugins)$")
_IGNORED_ENDINGS = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
_ENDINGS = ("", ".yml", ".yaml", ".json")
"""Of files of variables, in the order in which Ansible looks for them: the first that is there is the only one."""


class DiskInventories:
    def read(self, path: Path, shown: str) -> InventorySource:
        if not path.exists():
            raise UsageError(f"there is no inventory {shown}", "Name a file, or a folder of inventory files.")
        walk = _Walk()
        if path.is_dir():
            hosts = tuple(walk.inventories(path, shown.rstrip("/") or "/"))
            folder, prefix = path, f"{shown.rstrip('/')}/"
            if not hosts:
                raise UsageError(f"{shown} holds no inventory files", "Name a file, or a folder of inventory files.")
        else:
            hosts = (walk.file(path, shown),)
            folder, prefix = path.parent, shown.rpartition("/")[0]
            prefix = f"{prefix}/" if prefix or shown.startswith("/") else ""
        prefix = prefix.removeprefix("./")
        group_vars = tuple(walk.variables(folder / "group_vars", f"{prefix}group_vars"))
        host_vars = tuple(walk.variables(folder / "host_vars", f"{prefix}host_vars"))
        return InventorySource(
            path=shown,
            hosts=hosts,
            place=str(path.absolute()),
            group_vars=group_vars,
            host_vars=host_vars,
            passed_over=tuple(walk.passed_over),
        )


class _Walk:
    """Reads files, and counts them: a link to `/` is a mistake, not a reason to read all of a disk."""

    def __init__(self) -> None:
        self._files = 0
        self.passed_over: list[PassedOver] = []

    def inventories(self, folder: Path, shown: str, depth: int = 0) -> Iterator[SourceFile]:
        for name in self._names(folder, shown, depth):
            if _IGNORED.search(name) or name.endswith(_IGNORED_ENDINGS):
                continue
            path, path_shown = folder / name, f"{shown}/{name}"
            if path.is_dir():
                yield from self.inventories(path, path_shown, depth + 1)
            else:
                yield self.file(path, path_shown)

    def variables(self, folder: Path, shown: str) -> Iterator[SourceFile]:
        """Files with their owners. `web` stands before `web.yml`, a folder as well as a file, and so on."""
        if not folder.is_dir():
            return
        names = set(self._names(folder, shown, 0))
        owners: dict[str, list[str]] = {}
        for name in sorted(names):
            stem, dot, end = name.rpartition(".")
            is_variables = dot and f".{end}" in _ENDINGS and not (folder / name).is_dir()
            owners.setdefault(name, []).append(name)
            if is_variables and stem:
                owners.setdefault(stem, []).append(name)
        for owner, held in owners.items():
            first = next((f"{owner}{end}" for end in _ENDINGS if f"{owner}{end}" in held), "")
            if owner == first and owner.endswith(_ENDINGS[1:]) and not (folder / owner).is_dir():
                continue  # `web.yml` is for `web`; a group called `web.yml` is nobody's
            yield from self._of_owner(folder / first, f"{shown}/{first}", owner)
            others = [each for each in held if each != first]
            self.passed_over += [PassedOver(f"{shown}/{each}", f"{shown}/{first}") for each in others]

    def _of_owner(self, path: Path, shown: str, owner: str, depth: int = 0) -> Iterator[SourceFile]:
        if not path.is_dir():
            yield self.file(path, shown, owner)
            return
        for name in self._names(path, shown, depth):
            if name.startswith(".") or name.endswith("~"):
                continue
            inner = path / name
            end = inner.suffix
            if inner.is_dir() and not end:
                yield from self._of_owner(inner, f"{shown}/{name}", owner, depth + 1)
            elif end in _ENDINGS and inner.is_file():
                yield self.file(inner, f"{shown}/{name}", owner)

    def file(self, path: Path, shown: str, owner: str = "") -> SourceFile:
        self._files += 1
        if self._files > _MOST_FILES:
            raise UsageError(f"more than {_MOST_FILES:,} files, up to {shown}", "Name the inventory's own folder.")
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return SourceFile(shown, b"", owner, "this is no file: a device, a pipe or a socket")
            with path.open("rb") as opened:
                data = opened.read(_MOST_BYTES + 1)
        except OSError as error:
            return SourceFile(shown, b"", owner, f"cannot be read: {error.strerror or error}")
        if len(data) > _MOST_BYTES:
            return SourceFile(shown, b"", owner, "too large: an inventory file may hold 64 MiB")
        return SourceFile(shown, data, owner)

    def _names(self, folder: Path, shown: str, depth: int) -> list[str]:
        if depth > _DEEPEST:
            raise UsageError(f"{shown}: more than {_DEEPEST} folders deep", "Is there a link that leads back up?")
        try:
            return sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            raise UsageError(f"cannot read the folder {shown}: {error.strerror}") from None
