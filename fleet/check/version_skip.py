"""K3s goes through every minor version on its way up.

Source: Kubernetes' version skew policy, by k3s-io/docs upgrades/manual.md ("... it is not supported to skip
intermediate minor versions").
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.version import is_skip, minors_on_the_way, parse_version, parsed
from fleet.model.verdict import Verdict

RULE = "version-skip"


def judge(picture: Picture) -> Iterator[Verdict]:
    for step in picture.steps:
        before, after = parsed(step.before), parse_version(step.after)
        if before is None:
            yield Verdict(
                RULE,
                "refused",
                step.cluster,
                f"the record of {step.nodes[0]} says that it holds K3s `{step.before}`, which is no version",
                "See what the node really runs, then read its record again: fleet plan --refresh.",
                picture.nodes[step.nodes[0]].place,
            )
            continue
        if not is_skip(before, after):
            continue
        between = minors_on_the_way(before, after)[:-1] if before.major == after.major else ()
        yield Verdict(
            RULE,
            "refused",
            step.cluster,
            f"K3s {before} -> {after} leaves out {', '.join(between) or 'a major version'}",
            _mend(picture, between),
            picture.nodes[step.nodes[0]].place,
        )


def _mend(picture: Picture, between: tuple[str, ...]) -> str:
    """Names the release to go to first, where fleet.lock has one."""
    first = between[0] if between else "the next one"
    return f"Set k3s.version to {picture.locked.get(first, f'a release of {first}')} first, apply that, then go on."
