"""Every node of a cluster needs a range of its own in the cluster-cidr.

Source: k3s-io/docs installation/requirements.md (the default stops at about 255 nodes); the size of a node's range is
kube-controller-manager's node-cidr-mask-size (kubernetes.io).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.picture import Picture
from fleet.check.values import parts_of, value_of
from fleet.k3s.rules import cluster_cidr_capacity
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "cluster-cidr-capacity"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        if cluster.name not in picture.joined:
            continue
        node = picture.nodes[cluster.servers[0]]
        config = node.settings.k3s.config
        for cidr in value_of(config, "cluster-cidr").split(","):
            try:
                capacity = cluster_cidr_capacity(cidr, _mask(config, is_ipv6=":" in cidr))
            except ValueError as error:
                yield Verdict(RULE, "refused", cluster.name, str(error), "Write it as 10.42.0.0/16.", node.place)
                continue
            yield from _too_many(cluster, cidr, capacity)


def _too_many(cluster: Cluster, cidr: str, capacity: int) -> Iterator[Verdict]:
    count = len(cluster.servers) + len(cluster.agents)
    if count > capacity:
        yield Verdict(
            RULE,
            "refused",
            cluster.name,
            f"{count:,} nodes do not fit in cluster-cidr {cidr}, which has ranges for {capacity:,}",
            "Split the cluster. Only a cluster that does not exist yet can be given a larger cluster-cidr.",
            cluster.place,
        )


def _mask(config: Mapping[str, Any], *, is_ipv6: bool) -> int | None:
    """What kube-controller-manager-arg says of the size of a node's range, None for nothing."""
    flags = dict(part.partition("=")[::2] for part in parts_of(config.get("kube-controller-manager-arg")))
    said = flags.get(f"node-cidr-mask-size-ipv{6 if is_ipv6 else 4}", flags.get("node-cidr-mask-size", ""))
    return int(said) if said.isdecimal() and said.isascii() else None
