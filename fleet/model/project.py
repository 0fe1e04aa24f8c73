"""The Ansible project: what `fleet render` writes, and what a batch runs."""

from __future__ import annotations

import msgspec


class ProjectFile(msgspec.Struct, frozen=True):
    """`path` is relative, with `/`. `private` files are 0600, all others 0644, whatever the umask."""

    path: str
    data: bytes
    private: bool = False


class RunFacts(msgspec.Struct, frozen=True):
    """What one run adds to a project. All empty in a project that `fleet render` writes for stock Ansible.

    `expect` maps a node to the digest that it must hold ("none" for a node without a record), `machine_ids` to the
    machine-id that was enrolled.
    """

    controller: str = ""
    epoch: int = 0
    take_over: str = ""
    expect: dict[str, str] = {}
    machine_ids: dict[str, str] = {}


class Group(msgspec.Struct, frozen=True):
    """A group of the inventory: its hosts in the inventory's order."""

    name: str
    hosts: tuple[str, ...]
