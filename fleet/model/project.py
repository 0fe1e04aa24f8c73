"""The Ansible project: what `fleet render` writes, and what a batch runs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class ProjectFile(msgspec.Struct, frozen=True):
    """`path` is relative, with `/`. `private` files are 0600, all others 0644, whatever the umask."""

    path: str
    data: bytes
    private: bool = False


class Group(msgspec.Struct, frozen=True):
    """A group of the inventory: its hosts in the inventory's order."""

    name: str
    hosts: tuple[str, ...]


class FolderReport(msgspec.Struct, frozen=True):
    """What writing a tree of files came to, in files; `bytes` is what was written."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    bytes: int = 0


class Shipped(msgspec.Struct, frozen=True, eq=False):
    """What ships beside the code: templates as texts, playbooks and collection as bytes, by path below their folder."""

    texts: Mapping[str, str]
    playbooks: Mapping[str, bytes]
