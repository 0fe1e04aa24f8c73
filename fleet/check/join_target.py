"""A server without data joins a living cluster, never itself.

Source: k3s-contract.md, rule 2: an empty first server of a cluster that exists founds a second cluster; k3s-io/docs
datastore/ha-embedded.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from fleet.check.picture import Picture
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "join-target"


def judge(picture: Picture) -> Iterator[Verdict]:
    records = picture.given.records
    for cluster in picture.touched:
        if not cluster.existed:
            continue
        living = [name for name in cluster.servers if name in records]
        if not living:
            yield _founds(cluster)
        elif cluster.servers[0] not in records and _joins_itself(picture, cluster):
            yield _refusal(cluster, living[0])


def _joins_itself(picture: Picture, cluster: Cluster) -> bool:
    first = picture.nodes[cluster.servers[0]]
    return urlsplit(cluster.url).hostname in {*first.addresses, first.connection.address}


def _refusal(cluster: Cluster, living: str) -> Verdict:
    return Verdict(
        RULE,
        "refused",
        cluster.name,
        f"{cluster.servers[0]} holds nothing yet, and everyone joins at its address ({cluster.url})",
        f"Name {living} first among the servers, or give the cluster an endpoint that leads to a living server.",
        cluster.place,
    )


def _founds(cluster: Cluster) -> Verdict:
    return Verdict(
        RULE,
        "warning",
        cluster.name,
        "the cluster existed, but none of its servers holds a record: what starts is a new, empty cluster",
        "Restore a datastore snapshot on the first server where its data is still wanted.",
        cluster.place,
    )
