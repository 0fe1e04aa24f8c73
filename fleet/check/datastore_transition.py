"""A living cluster keeps its datastore, but for SQLite, which may become embedded etcd.

Source: k3s-io/docs datastore/ha-embedded.md ("Existing single-node clusters"); k3s-contract.md, rule 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from fleet.check.picture import Picture
from fleet.k3s.rules import Datastore, may_change_datastore
from fleet.model.verdict import Verdict

RULE = "datastore-transition"

_KNOWN = frozenset(get_args(Datastore))


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        both = picture.transition(cluster)
        if both is None or not both[0].datastore:
            continue
        before, after = both[0].datastore, both[1].datastore
        if before in _KNOWN and after in _KNOWN and may_change_datastore(before, after):  # type: ignore[arg-type]
            continue
        if before != after:
            yield Verdict(
                RULE,
                "refused",
                cluster.name,
                f"datastore {before} -> {after}",
                "K3s moves a living cluster from sqlite to etcd only. Put the old datastore back, or rebuild the cluster.",
                cluster.place,
            )
