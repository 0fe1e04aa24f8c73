"""Certificates of K3s that run out: a leaf before anything restarts K3s, a CA within a year.

Source: k3s-contract.md, rule 12; k3s-io/docs cli/certificate.md (leaf certificates are made anew when K3s starts within
120 days of their end; CAs are not).
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.formats.words import count
from fleet.k3s import certificates
from fleet.model.node import Node
from fleet.model.verdict import Verdict

RULE = "certificate-horizon"


def judge(picture: Picture) -> Iterator[Verdict]:
    """One verdict for all leaves and one for each cluster's CAs. Silent where nobody says what time it is."""
    now = picture.given.at
    if not now:
        return
    leaves: list[tuple[str, Node]] = []
    authorities: dict[str, tuple[str, Node]] = {}
    restarts = {change.node: change.restarts for change in picture.changes}
    for node in picture.fleet.nodes:
        record = picture.given.records.get(node.name)
        if record is None or not node.cluster:
            continue
        leaf, ca = (record.learned.get(name, "") for name in (certificates.LEAF_END, certificates.CA_END))
        if certificates.is_due(leaf, now, certificates.RENEWED_WITHIN_DAYS) and node.k3s_unit not in restarts.get(
            node.name, ()
        ):
            leaves.append((leaf, node))
        if certificates.is_due(ca, now, certificates.CA_NOTICE_DAYS):
            authorities[node.cluster] = min(authorities.get(node.cluster, (ca, node)), (ca, node), key=_end)
    if leaves:
        yield _leaf(leaves)
    for cluster, (end, node) in sorted(authorities.items()):
        yield _authority(cluster, end, node)


def _end(found: tuple[str, Node]) -> str:
    return found[0]


def _leaf(leaves: list[tuple[str, Node]]) -> Verdict:
    end, node = min(leaves, key=_end)
    more = f", and those of {count(len(leaves) - 1, 'more node')} by and by" if len(leaves) > 1 else ""
    return Verdict(
        RULE,
        "warning",
        node.name,
        f"certificates of K3s run out on {end[:10]}{more}, and nothing in this plan restarts K3s there",
        "K3s makes them anew when it starts within 120 days of their end: restart it, one server at a time. "
        "`fleet status --certificates` lists them.",
        node.place,
    )


def _authority(cluster: str, end: str, node: Node) -> Verdict:
    return Verdict(
        RULE,
        "warning",
        cluster,
        f"a CA of the cluster ends on {end[:10]}, and K3s makes it anew by no restart",
        "`k3s certificate rotate-ca` on a server, while the old one is still good.",
        node.place,
    )
