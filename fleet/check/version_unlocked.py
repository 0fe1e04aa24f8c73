"""fleet.lock pins one release of every minor that a node has to pass through.

Source: spec.md, k3s.config ("`fleet.lock` keeping one release per minor"); k3s-contract.md, rule 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.version import minors_on_the_way, parse_version
from fleet.model.verdict import Verdict

RULE = "version-unlocked"


def judge(picture: Picture) -> Iterator[Verdict]:
    for step in picture.steps:
        try:
            before, after = parse_version(step.before), parse_version(step.after)
            missing = [minor for minor in minors_on_the_way(before, after) if minor not in picture.locked]
        except ValueError:
            # No version, or another major: judged by version-skip.
            continue
        if missing:
            yield Verdict(
                RULE,
                "refused",
                step.cluster,
                f"K3s {before} -> {after} passes through {', '.join(missing)}, of which fleet.lock has no release",
                "Run fleet lock, and commit fleet.lock.",
                picture.nodes[step.nodes[0]].place,
            )
