"""What only a node can say: the second, explicit input of `resolve` (spec.md, Facts)."""

from __future__ import annotations

from typing import Literal

import msgspec

Arch = Literal["amd64", "arm64", "arm"]


class LearnedNode(msgspec.Struct, frozen=True):
    """Each value is empty until the node has told it."""

    machine_id: str = ""
    arch: Arch | Literal[""] = ""
    wireguard_public_key: str = ""
    site: str = ""
    role: str = ""
    k3s_version: str = ""
    """That of the last bundle which was on the node as a whole."""
    is_applied: bool = False
    """Whether a bundle was on the node as a whole; of others the architecture alone may be known."""


class LearnedCluster(msgspec.Struct, frozen=True):
    """`existed` is true from the first server's first success on: from then `cluster-init` is not rendered."""

    existed: bool = False
    datastore: str = ""


class Learned(msgspec.Struct, frozen=True):
    nodes: dict[str, LearnedNode] = {}
    clusters: dict[str, LearnedCluster] = {}
    known_hosts: frozenset[str] = frozenset()
    """Dial targets that have a pinned host key in git's `known_hosts`."""
