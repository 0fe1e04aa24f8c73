"""A living cluster of several servers keeps its flannel-backend.

Source: k3s-contract.md, rule 2 ("switching to wireguard-native fails"); k3s-io/docs cli/server.md, "Critical
Configuration Values".
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import value_of
from fleet.k3s.rules import may_change_flannel_backend
from fleet.model.verdict import Verdict

RULE = "flannel-backend-live"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        both = picture.transition(cluster)
        if both is None:
            continue
        before, after = (value_of(facts.config, "flannel-backend") for facts in both)
        if not may_change_flannel_backend(before, after, len(cluster.servers)):
            yield Verdict(
                RULE,
                "refused",
                cluster.name,
                f"flannel-backend {before} -> {after} with {len(cluster.servers)} servers",
                "K3s turns away a server whose backend is not its peers'. Put the old value back, or rebuild the cluster.",
                picture.nodes[cluster.servers[0]].place,
                key="flannel-backend",
            )
