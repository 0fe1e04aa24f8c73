"""A K3s minor that this `fleet` does not know in full is used at one's own risk.

Source: spec.md, k3s.config ("Supported: the newest four minors").
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.keys import SUPPORTED_MINORS
from fleet.k3s.version import minor_of
from fleet.model.verdict import Verdict

RULE = "version-unsupported"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        versions = {facts.k3s_version for name in cluster.servers if (facts := picture.wanted.get(name)) is not None}
        for version in sorted(filter(None, versions)):
            if minor_of(version) not in SUPPORTED_MINORS:
                yield Verdict(
                    RULE,
                    "warning",
                    cluster.name,
                    f"K3s {version} is none of the minors that this fleet supports: {', '.join(SUPPORTED_MINORS)}",
                    "Choose a release of one of them, or a fleet that knows this one.",
                    cluster.place,
                )
