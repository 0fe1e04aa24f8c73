"""No agent runs a newer K3s than a server of its cluster: servers are upgraded strictly before agents.

Source: k3s-io/docs upgrades/manual.md ("upgrade server nodes first"); Kubernetes' version skew policy (a kubelet must
not be newer than kube-apiserver).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.check.picture import Picture
from fleet.k3s.version import Version, parsed
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "servers-first"


def judge(picture: Picture) -> Iterator[Verdict]:
    """Judges the state after the plan: apply's own order looks after the way there."""
    for cluster in picture.touched:
        servers = _versions(picture, cluster.servers)
        agents = _versions(picture, cluster.agents)
        if not servers or not agents:
            continue
        oldest, newest = min(servers), max(agents)
        if newest > oldest:
            yield _refusal(cluster, picture, oldest, newest)


def _versions(picture: Picture, names: Iterable[str]) -> set[Version]:
    texts = {facts.k3s_version for name in names if (facts := picture.after(name)) is not None}
    return {version for text in texts if (version := parsed(text)) is not None}


def _refusal(cluster: Cluster, picture: Picture, oldest: Version, newest: Version) -> Verdict:
    def holds(name: str, version: Version) -> bool:
        facts = picture.after(name)
        return facts is not None and facts.k3s_version == str(version)

    agent = next(name for name in cluster.agents if holds(name, newest))
    server = next(name for name in cluster.servers if holds(name, oldest))
    hint = (
        f"Give {server} the same version."
        if server in picture.wanted
        else f"Take {server} into the plan: it is outside its scope."
    )
    return Verdict(
        RULE,
        "refused",
        cluster.name,
        f"agent {agent} would run K3s {newest}, newer than server {server} with {oldest}",
        hint,
        picture.nodes[agent].place,
    )
