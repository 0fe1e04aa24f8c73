"""secrets-encryption is turned on after a cluster's creation only by versions that can do it.

Source: k3s-io/k3s pull 13370 and its backports, issue 13595 (v1.34.3 fails); `fleet.k3s.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import is_on
from fleet.k3s.rules import secrets_encryption_late_ok
from fleet.k3s.version import parse_version
from fleet.model.verdict import Verdict

RULE = "secrets-encryption-late"


def judge(picture: Picture) -> Iterator[Verdict]:
    for cluster in picture.touched:
        both = picture.transition(cluster)
        if both is None:
            continue
        before, after = both
        if is_on(before.config, "secrets-encryption") or not is_on(after.config, "secrets-encryption"):
            continue
        may = secrets_encryption_late_ok(parse_version(after.k3s_version)) if after.k3s_version else True
        if may is not True:
            yield Verdict(
                RULE,
                "warning" if may is None else "refused",
                cluster.name,
                f"secrets-encryption is turned on after the cluster was made, by K3s {after.k3s_version}, "
                + ("of which nobody has shown that it can" if may is None else "which cannot do that"),
                "Upgrade K3s first (v1.34.4+k3s1, v1.35.0+k3s3 and later can), and turn it on in a plan of its own.",
                picture.nodes[cluster.servers[0]].place,
                key="secrets-encryption",
            )
