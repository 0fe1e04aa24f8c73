"""Inodes and their names, and the operations that change them: what `tests.crash.disk` keeps two of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from tests.crash.trees import FOLDER, Leaf, Tree

ROOT = 0
EVERY = 5
"""Of so many operations that are not sure, every selection is looked at; of more, those most unlike each other."""


@dataclass(frozen=True)
class Named:
    """Entries of folders, as (folder, name, inode or None)."""

    names: tuple[tuple[int, str, int | None], ...]

    @property
    def inodes(self) -> set[int]:
        return {folder for folder, _, _ in self.names}


@dataclass(frozen=True)
class Wrote:
    inode: int
    offset: int
    data: bytes

    @property
    def inodes(self) -> set[int]:
        return {self.inode}


@dataclass(frozen=True)
class Sized:
    inode: int
    size: int

    @property
    def inodes(self) -> set[int]:
        return {self.inode}


@dataclass(frozen=True)
class Styled:
    inode: int
    mode: int

    @property
    def inodes(self) -> set[int]:
        return {self.inode}


Op = Named | Wrote | Sized | Styled


class Store:
    """Inodes and names. A copy shares what it does not change."""

    def __init__(self, leaves: dict[int, Leaf], names: dict[int, dict[str, int]]) -> None:
        self.leaves, self.names = leaves, names

    def copy(self) -> Store:
        return Store(dict(self.leaves), dict(self.names))

    def apply(self, op: Op) -> None:
        match op:
            case Named(names):
                for folder, name, inode in names:
                    entries = dict(self.names.get(folder, {}))
                    if inode is None:
                        entries.pop(name, None)
                    else:
                        entries[name] = inode
                    self.names[folder] = entries
            case Wrote(inode, offset, data):
                old = self.leaves[inode].data.ljust(offset, b"\0")
                self._hold(inode, data=old[:offset] + data + old[offset + len(data) :])
            case Sized(inode, size):
                self._hold(inode, data=self.leaves[inode].data[:size].ljust(size, b"\0"))
            case Styled(inode, mode):
                self._hold(inode, mode=mode)

    def _hold(self, inode: int, **change: object) -> None:
        self.leaves[inode] = self.leaves[inode]._replace(**change)  # type: ignore[arg-type]

    def find(self, parts: Sequence[str]) -> int | None:
        """The inode at a path without links on the way; None where nothing is."""
        inode: int | None = ROOT
        for part in parts:
            inode = self.names.get(inode, {}).get(part) if inode is not None else None
        return inode

    def inodes(self, inode: int = ROOT, path: str = "") -> dict[str, int]:
        """By path."""
        found = {}
        for name, child in self.names.get(inode, {}).items():
            found[f"{path}/{name}"] = child
            if self.leaves[child].kind == FOLDER:
                found.update(self.inodes(child, f"{path}/{name}"))
        return found

    def tree(self) -> Tree:
        return {path: self.leaves[inode] for path, inode in self.inodes().items()}


def stored(tree: Tree) -> Store:
    store = Store({ROOT: Leaf(FOLDER, 0o755)}, {ROOT: {}})
    inodes = {"": ROOT}
    for path in sorted(tree):
        parent, _, name = path.rpartition("/")
        inodes[path] = len(inodes)
        store.leaves[inodes[path]] = tree[path]
        store.names.setdefault(inodes[parent], {})[name] = inodes[path]
    return store


def selections(count: int) -> Iterator[tuple[int, ...]]:
    """Of so many things: every selection, or where that is too much none, all, each alone, all but each, and the first N."""
    every = range(count)
    if count <= EVERY:
        for size in range(count + 1):
            yield from combinations(every, size)
        return
    chosen = [(), tuple(every), *((one,) for one in every), *(tuple(range(size)) for size in every)]
    chosen += [tuple(other for other in every if other != one) for one in every]
    yield from dict.fromkeys(chosen)
