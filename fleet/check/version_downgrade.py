"""K3s never goes back to an older version.

Source: k3s-io/docs upgrades/roll-back.md: a rollback is the old binary and a restore of the datastore.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.version import is_downgrade, parse_version, parsed
from fleet.model.verdict import Verdict

RULE = "version-downgrade"


def judge(picture: Picture) -> Iterator[Verdict]:
    for step in picture.steps:
        before = parsed(step.before)
        # What is no version is refused by version-skip.
        if before is not None and is_downgrade(before, parse_version(step.after)):
            yield Verdict(
                RULE,
                "refused",
                step.cluster,
                f"K3s {step.before} -> {step.after} goes back to an older version",
                f"Put {step.before} back. K3s has no downgrade: going back is the old binary and a datastore snapshot.",
                picture.nodes[step.nodes[0]].place,
            )
