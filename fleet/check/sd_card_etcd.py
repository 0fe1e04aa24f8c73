"""SD and eMMC cards do not stand etcd's writes.

Source: k3s-io/docs installation/requirements.md ("Disks": etcd is write intensive; SD cards and eMMC cannot handle
the IO load). A node says what it has with the label `storage: sd` or `storage: emmc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.model.verdict import Verdict

RULE = "sd-card-etcd"

_CARDS = frozenset({"sd", "emmc"})


def judge(picture: Picture) -> Iterator[Verdict]:
    """Speaks when a node joins or the datastore becomes etcd, not at each later change."""
    for cluster in picture.touched:
        before = next(picture.living(cluster), None)
        is_new = cluster.name in picture.joined or (before is not None and before.datastore != "etcd")
        if cluster.datastore != "etcd" or not is_new:
            continue
        cards = [name for name in cluster.servers if picture.nodes[name].labels.get("storage") in _CARDS]
        if cards:
            yield Verdict(
                RULE,
                "warning",
                cluster.name,
                f"etcd runs on SD or eMMC cards: {', '.join(cards)}",
                "Put the datastore on an SSD, or run one server with sqlite.",
                picture.nodes[cards[0]].place,
            )
