"""Hosts that come and go: what adopting one found, and what became of one that was given back."""

from __future__ import annotations

from typing import Literal

import msgspec

from fleet.model.drain import DrainEvent


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """A path of a host in use that is not as the bundle says. `what`: absent, content, mode, owner, group.

    `before` and `after` are texts for people, without what is private.
    """

    path: str
    kind: str
    action: str
    what: tuple[str, ...] = ()
    before: str = ""
    after: str = ""


class NodeAdopted(msgspec.Struct, frozen=True, tag_field="event", tag="NodeAdopted", omit_defaults=True):
    """`waiting` differ and were left alone; `taken` were brought to what the bundle says. `is_whole`: nothing is left
    to do. `is_check`: nothing was written at all.
    """

    node: str
    waiting: tuple[Waiting, ...] = ()
    taken: tuple[str, ...] = ()
    is_whole: bool = False
    is_check: bool = False


class NodeRetired(msgspec.Struct, frozen=True, tag_field="event", tag="NodeRetired", omit_defaults=True):
    """`restored` came back as they were before, `removed` are gone. `was_asked`: the host itself took part.

    `unpinned` are lines that left known_hosts; `left` is what only a person can do now. `left_cluster`: Kubernetes has
    neither Node nor node password of it, and etcd no member.
    """

    node: str
    was_asked: bool = True
    restored: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    left_cluster: bool = False


class NodeReplaced(msgspec.Struct, frozen=True, tag_field="event", tag="NodeReplaced", omit_defaults=True):
    """The name is free for new hardware: the old machine-id, and the digest that it held, are expected no more.

    `left` and `left_cluster` as in NodeRetired.
    """

    node: str
    machine_id: str = ""
    digest: str = ""
    left: tuple[str, ...] = ()
    left_cluster: bool = False


class NodeUntouched(msgspec.Struct, frozen=True, tag_field="event", tag="NodeUntouched", omit_defaults=True):
    """Nothing came of it on this node. `outcome`: `failed` by its own words, or `unreachable`."""

    node: str
    outcome: Literal["failed", "unreachable"]
    reason: str


HostEvent = NodeAdopted | NodeRetired | NodeReplaced | NodeUntouched | DrainEvent
