"""Facts that checks decide by: what may change when, how much fits, how long certificates live.

Each function or constant names its source: a page of k3s-io/docs, a file of k3s-io/k3s, or an issue of k3s-io/k3s.
Nothing here refuses anything: a check does, with the words and the place.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal

from fleet.k3s.keys import CRITICAL_DISABLE_ITEMS
from fleet.k3s.version import Version

Datastore = Literal["sqlite", "etcd", "external"]

# Leaf certificates (advanced.md, cli/certificate.md; pkg/daemons/config/types.go, CertificateRenewDays = 120). They
# renew only while K3s starts; so a node that does not start K3s within the last 120 of 365 days is locked out.
CERTIFICATE_DAYS = 365
CERTIFICATE_RENEW_DAYS = 120
CERTIFICATE_RESTART_DAYS = CERTIFICATE_DAYS - CERTIFICATE_RENEW_DAYS
# The self-signed CA lives 10 years and never renews itself (advanced.md).
CA_YEARS = 10

# installation/requirements.md, "Server Sizing Guide": (CPUs, GB of memory, agents that such a server takes).
SERVER_SIZES = ((2, 4, 350), (4, 8, 900), (8, 16, 1800))
# The same page: joining costs CPU, so agents join in batches.
JOIN_BATCH = 50

DEFAULT_CLUSTER_CIDR = "10.42.0.0/16"
NODE_CIDR_MASK_IPV4 = 24
NODE_CIDR_MASK_IPV6 = 64
# Kubernetes keeps one bit per node range and refuses more than this many of them (pkg/controller/.../cidr_set.go).
_MAX_NODE_RANGE_BITS = 16

# `k3s secrets-encrypt enable` on a cluster that was made without: the first patch that is known to do it, by minor.
# pull 13370 and its backports 13403 (1.35), 13404 (1.34), 13405 (1.33); release-notes/v1.35.X.md lists it for
# v1.35.0+k3s3; issue 13595 shows v1.34.3 failing. From v1.36 on it was there from the start.
_LATE_ENCRYPTION_FROM = {
    (1, 33): Version(1, 33, 8, 1),
    (1, 34): Version(1, 34, 4, 1),
    (1, 35): Version(1, 35, 0, 3),
}
_LATE_ENCRYPTION_FAILS_UP_TO = {
    (1, 33): Version(1, 33, 7, 1),
    (1, 34): Version(1, 34, 3, 99),
    (1, 35): Version(1, 35, 0, 2),
}


def secrets_encryption_late_ok(version: Version) -> bool | None:
    """Whether this version can turn secrets-encryption on after its cluster was made; None where nobody has shown it."""
    minor = (version.major, version.minor)
    if minor >= (1, 36):
        return True
    if minor <= (1, 31):
        return False
    if minor not in _LATE_ENCRYPTION_FROM:
        # 1.32 has a backport (pull 13406), but in which of its last patches is not established.
        return None
    if version >= _LATE_ENCRYPTION_FROM[minor]:
        return True
    return False if version <= _LATE_ENCRYPTION_FAILS_UP_TO[minor] else None


def may_change_datastore(old: Datastore, new: Datastore) -> bool:
    """Whether a living cluster may go from one datastore to the other.

    Only SQLite to embedded etcd, by a restart with cluster-init (datastore/ha-embedded.md, "Existing single-node
    clusters"); the way back and every way to or from an external one means a new cluster.
    """
    return old == new or (old, new) == ("sqlite", "etcd")


def may_change_flannel_backend(old: str, new: str, servers: int) -> bool:
    """Whether a living cluster may change its flannel-backend: only one with a single server.

    The value is among those that a server compares with its peers before it comes up (cli/server.md, "Critical
    Configuration Values"), so the first of several servers to restart with another one is turned away.
    """
    return old == new or servers <= 1


def needs_wireguard_module(flannel_backend: str) -> bool:
    """Whether every node needs the kernel's wireguard module first (networking/basic-network-options.md)."""
    return flannel_backend == "wireguard-native"


def cluster_cidr_capacity(cidr: str, node_cidr_mask: int | None = None) -> int:
    """How many nodes fit in a cluster-cidr, each with a range of its own (/24 of IPv4, /64 of IPv6 unless told).

    The default 10.42.0.0/16 gives 256 ("more than 255 nodes" wants more: installation/requirements.md). 0 where not
    one fits. Raises ValueError for a text that is not a CIDR, and for one that holds more than 65,536 ranges, with
    which kube-controller-manager does not start.
    """
    network = ipaddress.ip_network(cidr)
    default = NODE_CIDR_MASK_IPV4 if network.version == 4 else NODE_CIDR_MASK_IPV6
    bits = (default if node_cidr_mask is None else node_cidr_mask) - network.prefixlen
    if bits > _MAX_NODE_RANGE_BITS:
        smallest = network.prefixlen + bits - _MAX_NODE_RANGE_BITS
        raise ValueError(f"{cidr} is too large a cluster-cidr for Kubernetes: expected /{smallest} or longer")
    return 2**bits if bits >= 0 else 0


def agents_for_server(cpus: int, memory_gb: int) -> int | None:
    """How many agents a server of this size takes: 0 below 2 CPUs or 4 GB, None for as many as one likes."""
    if cpus >= 16 and memory_gb >= 32:
        return None
    return max((agents for cpu, memory, agents in SERVER_SIZES if cpus >= cpu and memory_gb >= memory), default=0)


def quorum(members: int) -> int:
    """How many etcd members must stay for the datastore to be written (etcd.io, "Failure tolerance")."""
    return members // 2 + 1


def is_even_quorum(members: int) -> bool:
    """Whether one more or one fewer etcd member would stand as many failures: fine only on the way to another count.

    Two members are the worst: the loss of either stops both (datastore/ha-embedded.md, "odd number").
    """
    return members > 0 and members % 2 == 0


def ignored_s3_secret(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that make K3s ignore etcd-s3-config-secret, sorted; empty where it is not set or is honoured.

    Any other S3 key does (cli/etcd-snapshot.md, "S3 Configuration Secret Support"). etcd-s3-retention is none of
    the connection's keys, but the page makes no exception for it.
    """
    if config.get("etcd-s3-config-secret") is None:
        return ()
    allowed = {"etcd-s3", "etcd-s3-config-secret"}
    return tuple(sorted(key for key in config if key.startswith("etcd-s3") and key not in allowed))


def critical_disables(value: Any) -> frozenset[str]:
    """What of a `disable` must be the same on all servers: servicelb, if it is there (cli/server.md)."""
    items = value if isinstance(value, list | tuple) else [value]
    named = {part for item in items if isinstance(item, str) for part in item.split(",")}
    return frozenset(named) & CRITICAL_DISABLE_ITEMS
