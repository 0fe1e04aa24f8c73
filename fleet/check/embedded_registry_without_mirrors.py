"""The embedded registry shares only images of registries that have a `mirrors:` entry.

Source: k3s-io/docs installation/registry-mirror.md ("Enabling Registry Mirroring").
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import is_on
from fleet.k3s.registries import has_mirror
from fleet.model.verdict import Verdict

RULE = "embedded-registry-without-mirrors"


def judge(picture: Picture) -> Iterator[Verdict]:
    seen: dict[int, bool] = {}
    for cluster in picture.touched:
        if not is_on(picture.nodes[cluster.servers[0]].settings.k3s.config, "embedded-registry"):
            continue
        without = []
        for node in picture.members(cluster):
            k3s = node.settings.k3s
            if id(k3s) not in seen:
                seen[id(k3s)] = has_mirror(k3s.registries)
            if not seen[id(k3s)]:
                without.append(node)
        if without:
            yield Verdict(
                RULE,
                "warning",
                cluster.name,
                f"embedded-registry is on, and {len(without):,} nodes have no mirrors: they share nothing",
                'Name what to share under k3s.registries.mirrors ("*" for everything).',
                without[0].place,
                key="embedded-registry",
            )
