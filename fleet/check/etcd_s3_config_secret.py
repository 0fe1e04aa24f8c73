"""etcd-s3-config-secret is ignored as soon as any other etcd-s3 key is set.

Source: k3s-io/docs cli/etcd-snapshot.md ("S3 Configuration Secret Support").
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.rules import ignored_s3_secret
from fleet.model.verdict import Verdict

RULE = "etcd-s3-config-secret"


def judge(picture: Picture) -> Iterator[Verdict]:
    seen: dict[int, tuple[str, ...]] = {}
    for cluster in picture.touched:
        node = picture.nodes[cluster.servers[0]]
        config = node.settings.k3s.config
        if id(config) not in seen:
            seen[id(config)] = ignored_s3_secret(config)
        if keys := seen[id(config)]:
            yield Verdict(
                RULE,
                "refused",
                cluster.name,
                f"K3s ignores etcd-s3-config-secret, since {', '.join(keys)} is set beside it",
                "Move those values into the Secret, or leave etcd-s3-config-secret out.",
                node.place,
                key="etcd-s3-config-secret",
            )
