"""A Node as a cluster's API server knows it, and the datastore below it."""

from __future__ import annotations

import msgspec

FIELD_MANAGER = "edgefleet"
"""Owner, on a Node, of the labels and taints that the spec gives."""
CORDON_MANAGER = "edgefleet-cordon"
"""Owner of a cordon of ours: what says, on the Node itself, whose it is."""


class NodeIdentity(msgspec.Struct, frozen=True):
    """Which machine is meant: a name can pass to another one. `machine_id` is the enrolled one."""

    name: str
    machine_id: str


class Taint(msgspec.Struct, frozen=True, order=True):
    """In a Node's list, key and effect tell taints apart."""

    key: str
    value: str
    effect: str

    @classmethod
    def parse(cls, text: str) -> Taint:
        """`key=value:Effect`, or `key:Effect`, as the spec and kubectl write it."""
        rest, _, effect = text.rpartition(":")
        key, _, value = rest.partition("=")
        return cls(key, value, effect)

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class Given(msgspec.Struct, frozen=True):
    """What a node's own configuration may have given its Node: keys of labels, and taints as texts."""

    labels: frozenset[str] = frozenset()
    taints: frozenset[str] = frozenset()


NOTHING_GIVEN = Given()


class ClusterNode(msgspec.Struct, frozen=True):
    """`version` is the kubelet's (v1.36.3+k3s1). `reason` says in one line why it is not ready, empty when it is.

    `cordoned_by` are the field managers that hold the cordon; nobody's name is there where nobody is on record.
    """

    name: str
    machine_id: str
    version: str = ""
    is_ready: bool = False
    reason: str = ""
    is_cordoned: bool = False
    cordoned_by: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()

    @property
    def is_cordoned_by_fleet(self) -> bool:
        """Whether `uncordon` has something to take back, also after a crash."""
        return CORDON_MANAGER in self.cordoned_by


class EtcdMember(msgspec.Struct, frozen=True):
    """A server with a member of embedded etcd. `reason` is K3s's: MemberNotLearner, MemberIsLearner, Unhealthy, NotAMember,
    or Unknown before it has said any.
    """

    node: str
    is_voter: bool
    reason: str


class DatastoreHealth(msgspec.Struct, frozen=True):
    """`is_serving`: the API server can read and write its datastore, whichever it is; else `reason` says why not.

    `members` are embedded etcd's, none with another datastore, and none are known while it does not serve.
    """

    is_serving: bool
    reason: str = ""
    members: tuple[EtcdMember, ...] = ()
