"""The files of a folder on disk: named by git or by a walk, sorted out by one scandir per folder, read when asked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fleet.adapters.git import bounds
from fleet.errors import SpecError, UnavailableError
from fleet.model.problem import Problem

# Never a part of the spec, and the second one changes with every command.
SKIPPED = frozenset({".git", ".fleet"})


class FolderFiles(Mapping[str, bytes]):
    """Relative paths in order; each content is read anew when asked for, never more than the bounds allow."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self._root = str(root)
        self._paths = dict.fromkeys(sorted(paths))
        self._meter = bounds.Meter()

    def __getitem__(self, path: str) -> bytes:
        if path not in self._paths:
            raise KeyError(path)
        data = _read(self._root, path)
        self._meter.count(path, len(data))
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, path: object) -> bool:
        return path in self._paths


def _read(root: str, path: str) -> bytes:
    limit = bounds.MAX_FILE_BYTES
    try:
        # O_NONBLOCK: a pipe that took the file's place must not hang us.
        handle = os.open(f"{root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise SpecError([bounds.special(path)])
            if found.st_size > limit:
                raise bounds.too_large(path, found.st_size)
            data = file.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {root}/{path}: {error.strerror}") from None
    if len(data) > limit:  # it grew, or it is one of those whose size is not told
        raise bounds.too_large(path, len(data))
    return data


def listed(root: Path, top: Path, names: Iterable[bytes], without: str = "") -> FolderFiles:
    """The files that git named, as they are on disk: what is gone is left out, so are submodules.

    `top` is the repository's folder: a link may lead anywhere below it. `without` is a folder that is passed over.
    Raises SpecError with every mistake.
    """
    survey = _Survey(root, top)
    wanted: dict[str, list[str]] = {}
    for count, raw in enumerate(names):
        if count == bounds.MAX_FILES:
            raise bounds.too_many()
        try:
            path = raw.decode("utf-8")
        except UnicodeDecodeError:
            survey.problems.append(bounds.unreadable_name(raw))
            continue
        folder, _, name = path.rpartition("/")
        if without and f"{folder}/".startswith(f"{without}/"):
            continue
        if name:  # a submodule or a repository inside is named with a slash at its end
            wanted.setdefault(folder, []).append(name)
    for folder, members in wanted.items():
        if folder.partition("/")[0] not in SKIPPED:
            survey.look(folder, members)
    return survey.files()


def walked(root: Path, without: str = "") -> FolderFiles:
    """Every file below a folder that git does not know, but those below `without`. Raises SpecError as `listed`."""
    survey = _Survey(root, Path(os.path.realpath(root)))
    pending = [""]
    while pending:
        pending += [folder for folder in survey.look(pending.pop(), None) if folder != without]
        if len(survey.paths) > bounds.MAX_FILES:
            raise bounds.too_many()
    return survey.files()


class _Survey:
    """What folders really hold: paths of files, and every mistake on the way."""

    def __init__(self, root: Path, top: Path) -> None:
        self._root = root
        self._top = top
        self.paths: list[str] = []
        self.problems: list[Problem] = []

    def files(self) -> FolderFiles:
        if self.problems:
            raise SpecError(sorted(self.problems))
        return FolderFiles(self._root, self.paths)

    def look(self, folder: str, members: Iterable[str] | None) -> list[str]:
        """Takes in the named members of one folder, or all; returns the folders right below it."""
        prefix = f"{folder}/" if folder else ""
        if prefix.count("/") > bounds.MAX_DEPTH:
            self.problems.append(bounds.too_deep(folder))
            return []
        found = self._entries(folder, named=members is not None)
        below: list[str] = []
        for name in found if members is None else dict.fromkeys(members):
            entry = found.get(name)
            if entry is None:
                continue  # deleted, and the deletion is not committed yet
            path = prefix + name
            if entry.is_file(follow_symlinks=False):
                self.paths.append(path)
            elif entry.is_symlink():
                self._follow(path)
            elif not entry.is_dir(follow_symlinks=False):
                self.problems.append(bounds.special(path))
            elif name not in SKIPPED:
                below.append(path)
        return below

    def _entries(self, folder: str, *, named: bool) -> dict[str, os.DirEntry[str]]:
        """What a folder holds by name. Names that are no text are a mistake here unless git named the files."""
        found: dict[str, os.DirEntry[str]] = {}
        try:
            with os.scandir(self._root / folder) as entries:
                for entry in entries:
                    if entry.name.isascii() or _is_utf8(entry.name):
                        found[entry.name] = entry
                    elif not named:
                        self.problems.append(bounds.unreadable_name(os.fsencode(f"{folder}/{entry.name}".lstrip("/"))))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise UnavailableError(f"cannot read {self._root / folder}: {error.strerror}") from None
        return found

    def _follow(self, path: str) -> None:
        """A link to a file inside the repository is that file; to a folder inside, or to nothing, it is left out."""
        link = self._root / path
        target = os.readlink(link)  # noqa: PTH115 - the text as written, not a Path of it
        real = Path(os.path.realpath(link))
        inside = real.is_relative_to(self._top)
        if not inside:
            self.problems.append(bounds.leads_out(path, target))
        elif target.startswith("/"):
            self.problems.append(bounds.absolute_link(path, target))
        elif real.is_file():
            self.paths.append(path)
        elif real.exists() and not real.is_dir():
            self.problems.append(bounds.special(path))


def _is_utf8(name: str) -> bool:
    """Python keeps bytes that are not UTF-8 as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
