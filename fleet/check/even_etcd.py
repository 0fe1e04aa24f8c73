"""An even number of etcd servers is a passing state: it stands no more losses than one server fewer.

Source: k3s-io/docs datastore/ha-embedded.md ("odd number of server nodes"). Without `growing: true` the spec is wrong
already; this says that a cluster which is growing has not arrived.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.rules import is_even_quorum
from fleet.model.verdict import Verdict

RULE = "even-etcd"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        count = len(cluster.servers)
        if cluster.datastore == "etcd" and is_even_quorum(count):
            yield Verdict(
                RULE,
                "warning",
                cluster.name,
                f"{count} etcd servers stand no more losses than {count - 1}",
                "Add the next server soon, and take `growing: true` out then.",
                cluster.place,
            )
