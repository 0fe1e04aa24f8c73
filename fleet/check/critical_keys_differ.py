"""All servers of a cluster say the same in the keys that K3s compares between them.

Source: k3s-io/docs cli/server.md, "Critical Configuration Values": servers that differ fail to join or to start.
Which keys: `fleet.k3s.keys.CRITICAL_KEYS`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import value_of
from fleet.k3s.keys import CRITICAL_KEYS, SECRET_KEYS
from fleet.model.bundle import BundleFacts
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "critical-keys-differ"

_ORDER = tuple(sorted(CRITICAL_KEYS))


def judge(picture: Picture) -> Iterator[Verdict]:
    """Judges the state after the plan: a server outside the plan's scope keeps what it has."""
    for cluster in picture.touched:
        if len(cluster.servers) == 1:
            continue
        servers = [(name, facts) for name in cluster.servers if (facts := picture.after(name)) is not None]
        if any(facts.config != servers[0][1].config for _, facts in servers):
            yield from _differences(picture, cluster, servers)


def _differences(picture: Picture, cluster: Cluster, servers: list[tuple[str, BundleFacts]]) -> Iterator[Verdict]:
    (first, facts), *others = servers
    for key in _ORDER:
        value = value_of(facts.config, key)
        other = next(((name, own) for name, it in others if (own := value_of(it.config, key)) != value), None)
        if other is None:
            continue
        shown = [("(a secret)" if key in SECRET_KEYS else text) or "nothing" for text in (value, other[1])]
        outside = next((name for name in (first, other[0]) if name not in picture.wanted), "")
        yield Verdict(
            RULE,
            "refused",
            cluster.name,
            f"{key} is {shown[0]} on {first} and {shown[1]} on {other[0]}",
            f"Take {outside} into the plan: it is outside its scope."
            if outside
            else "All servers of a cluster must agree on it: say it once, at the site.",
            picture.nodes[other[0]].place,
            key=key,
        )
