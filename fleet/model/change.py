"""A Change: one thing that a node has to become different in."""

from __future__ import annotations

from typing import Literal

import msgspec

ChangeKind = Literal[
    "k3s",
    "config",
    "label",
    "taint",
    "file",
    "folder",
    "artifact",
    "unit",
    "package",
    "user",
    "sysctl",
    "first",
    "fact",
    "updates",
    "reboot",
]
Action = Literal["add", "edit", "remove"]


class Change(msgspec.Struct, frozen=True):
    """`subject` is the path or name; `before` and `after` are short texts (a version, a sha256), empty where none.

    `restarts` and `reloads` are units. Equal Changes on different nodes are equal values: the plan groups by them.
    """

    kind: ChangeKind
    action: Action
    subject: str
    before: str = ""
    after: str = ""
    restarts: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()


class NodeChange(msgspec.Struct, frozen=True):
    """All that changes on one node. `base` is the digest that the node is expected to hold, empty for none."""

    node: str
    site: str
    cluster: str
    role: str
    base: str
    wanted: str
    changes: tuple[Change, ...]

    @property
    def is_first(self) -> bool:
        return not self.base

    @property
    def restarts(self) -> frozenset[str]:
        return frozenset(unit for change in self.changes for unit in change.restarts)
