"""What is below a folder, as a value. The standard library and nothing else: it also runs on hosts."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

FILE, FOLDER, LINK = "file", "folder", "link"


class Leaf(NamedTuple):
    """`data` is the content of a file, or the target of a link."""

    kind: str
    mode: int
    data: bytes = b""


Tree = dict[str, Leaf]
"""By absolute paths that start at the root. The root itself is not in it."""


def file(data: bytes, mode: int = 0o644) -> Leaf:
    return Leaf(FILE, mode, data)


def folder(mode: int = 0o755) -> Leaf:
    return Leaf(FOLDER, mode)


def link(target: str) -> Leaf:
    return Leaf(LINK, 0o777, os.fsencode(target))


def leaf(path: str) -> Leaf | None:
    """None for what is neither a file, a folder nor a link."""
    found = os.lstat(path)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        return Leaf(LINK, 0o777, os.fsencode(os.readlink(path)))
    if stat.S_ISDIR(found.st_mode):
        return Leaf(FOLDER, mode)
    if not stat.S_ISREG(found.st_mode):
        return None
    with open(path, "rb") as handle:
        return Leaf(FILE, mode, handle.read())


def take(root: str, *tops: str) -> Tree:
    """What is below `root`, or only what is at and below `tops` there. Nothing may change it meanwhile."""
    base, tree = root.rstrip("/"), Tree()
    for top in tops or ("",):
        if top and os.path.lexists(base + top) and (found := leaf(base + top)):
            tree[top] = found
        for where, folders, files in os.walk(base + top or "/"):
            for name in folders + files:
                path = os.path.join(where, name)
                if found := leaf(path):
                    tree[path[len(base) :]] = found
    return tree


def put(tree: Tree, root: str, inodes: dict[str, int] | None = None) -> None:
    """Make it, below a folder that is empty or absent. Paths of one of the `inodes` become names of one file."""
    os.makedirs(root, exist_ok=True)
    first: dict[int, str] = {}
    for path in sorted(tree):
        kind, mode, data = tree[path]
        if kind == FOLDER:
            os.mkdir(root + path)
        elif kind == LINK:
            os.symlink(data, os.fsencode(root + path))
        elif (inode := (inodes or {}).get(path)) in first:
            os.link(root + first[inode], root + path)
        else:
            with open(root + path, "wb") as handle:
                handle.write(data)
            if inode is not None:
                first[inode] = path
        if kind != LINK:
            os.chmod(root + path, mode if kind == FILE else mode | 0o700)


def touched(root: str) -> dict[str, tuple[int, int, int]]:
    """Mode, inode and time of the last change of everything below `root`: equal later means that nothing was touched."""
    found = {}
    for where, folders, files in os.walk(root):
        for name in folders + files:
            status = os.lstat(os.path.join(where, name))
            found[os.path.join(where, name)] = (status.st_mode, status.st_ino, status.st_mtime_ns)
    return found
