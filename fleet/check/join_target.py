"""A cluster of which no server is left is founded anew: that is said first.

Source: k3s-contract.md, rule 2: an empty first server of a cluster that exists founds a second cluster; k3s-io/docs
datastore/ha-embedded.md. Where others live, an empty server joins one of them (`render.k3s_config.join_text`).
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.model.verdict import Verdict

RULE = "join-target"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        if cluster.is_lost:
            yield Verdict(
                RULE,
                "warning",
                cluster.name,
                "the cluster existed, but none of its servers holds anything: what starts is a new, empty cluster",
                "Restore a datastore snapshot on the first server where its data is still wanted.",
                cluster.place,
            )
