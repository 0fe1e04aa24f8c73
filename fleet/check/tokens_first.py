"""No node comes with a token that a server of its cluster does not know yet: servers get a rotated token first.

Source: k3s-io/docs cli/token.md ("k3s token rotate": servers and agents are restarted with the new token once it is
rotated); a K3s that starts with a token which no server knows is turned away.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.model.change import NodeChange
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "tokens-first"


def judge(picture: Picture) -> Iterator[Verdict]:
    """Within a plan apply's own order sees to it; a server that runs already tells its cluster by itself."""
    for change in picture.changes:
        cluster = picture.fleet.clusters.get(change.cluster)
        if cluster is None or (change.role == "server" and not change.is_first):
            continue
        name = cluster.token if change.role == "server" else cluster.agent_token
        server = next(_behind(picture, cluster, name), "")
        if server:
            yield _refusal(picture, change, name, server)


def _behind(picture: Picture, cluster: Cluster, name: str) -> Iterator[str]:
    """Servers that keep another value of this token than git has: they are outside the plan's scope."""
    wanted = picture.given.fingerprints.get(name)
    for server in cluster.servers:
        held = picture.given.tokens.get(server, {}).get(name)
        if server not in picture.wanted and held is not None and held != wanted:
            yield server


def _refusal(picture: Picture, change: NodeChange, name: str, server: str) -> Verdict:
    return Verdict(
        RULE,
        "refused",
        change.node,
        f"it would come with the new `{name}`, which server {server} does not know yet",
        f"Take {server} into the plan: it is outside its scope.",
        picture.nodes[change.node].place,
    )
