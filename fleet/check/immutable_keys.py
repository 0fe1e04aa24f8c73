"""Keys that stay as they are once a cluster exists.

Source: k3s-contract.md, rule 2; k3s-io/docs networking/basic-network-options.md ("Dual-stack networking must be
configured when the cluster is first created"), cli/server.md. Which keys: `fleet.k3s.keys.IMMUTABLE_KEYS`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import value_of
from fleet.k3s.keys import IMMUTABLE_KEYS
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "immutable-keys"

_ORDER = tuple(sorted(IMMUTABLE_KEYS))


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        both = picture.transition(cluster)
        if both is None or both[0].config == both[1].config:
            continue
        for key in _ORDER:
            before, after = (value_of(facts.config, key) for facts in both)
            if before != after:
                yield _refusal(picture, cluster, key, before, after)


def _refusal(picture: Picture, cluster: Cluster, key: str, before: str, after: str) -> Verdict:
    what = key
    if key.endswith("-cidr") and _families(before) != _families(after):
        what = f"{key} to or from dual stack"
    return Verdict(
        RULE,
        "refused",
        cluster.name,
        f"{key} {before} -> {after}",
        f"K3s cannot change {what} after a cluster exists. Put the old value back, or rebuild the cluster.",
        picture.nodes[cluster.servers[0]].place,
        key=key,
    )


def _families(cidrs: str) -> set[bool]:
    return {":" in cidr for cidr in cidrs.split(",")}
