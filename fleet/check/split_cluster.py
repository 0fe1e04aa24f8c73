"""Servers of one cluster have one CA: two that differ run a cluster each.

Source: k3s-io/docs cli/token.md (the hash in a full token is that of the cluster's CA); k3s-contract.md, rule 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.token import CA_HASH
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "split-cluster"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        told = dict(_told(picture, cluster))
        if len(set(told.values())) > 1:
            yield Verdict(
                RULE,
                "refused",
                cluster.name,
                "its servers have different CAs: " + ", ".join(f"{name} {ca[:12]}" for name, ca in told.items()),
                "Each runs a cluster of its own. Say which one holds the data, and replace the others: "
                "`fleet node replace`.",
                cluster.place,
            )


def _told(picture: Picture, cluster: Cluster) -> Iterator[tuple[str, str]]:
    for name in cluster.servers:
        record = picture.given.records.get(name)
        ca_hash = "" if record is None else record.learned.get(CA_HASH, "")
        if ca_hash:
            yield name, ca_hash
