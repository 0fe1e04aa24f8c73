"""Hardening a living cluster may stop what runs on it.

Source: k3s-io/docs security/hardening-guide.md: pod security admission turns restricted pods away, the network
policies deny what nothing allows, and the kubelet does not start where the kernel refuses a setting.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.paths import SYSCTL
from fleet.model.change import NodeChange
from fleet.model.verdict import Verdict

RULE = "hardening-live"


def judge(picture: Picture) -> Iterator[Verdict]:
    """A node that is new has one Change for everything, so an added file is one of a node that runs already."""
    turned: dict[str, list[str]] = {}
    for change in picture.changes:
        if _adds_hardening(change) and picture.nodes[change.node].settings.hardening == "cis":
            turned.setdefault(change.cluster, []).append(change.node)
    for cluster, names in sorted(turned.items()):
        yield Verdict(
            RULE,
            "warning",
            cluster,
            f"hardening none -> cis on {len(names):,} nodes that run already: pods may be refused when they start again",
            "Try it on one site first (--site), and see that its pods start and reach each other.",
            picture.nodes[names[0]].place,
        )


def _adds_hardening(change: NodeChange) -> bool:
    return any(each.subject == SYSCTL and each.action == "add" for each in change.changes)
