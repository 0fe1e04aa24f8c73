"""An external datastore is saved before K3s is upgraded, and only the user knows how.

Source: k3s-contract.md, rule 1; k3s-io/docs datastore/backup-restore.md. etcd and SQLite are saved by fleet_bundle.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.model.verdict import Verdict

RULE = "snapshot-before-upgrade"


def judge(picture: Picture) -> Iterator[Verdict]:
    upgrading = {step.cluster for step in picture.steps}
    for cluster in picture.touched:
        if cluster.name in upgrading and cluster.datastore == "external" and not cluster.snapshot_command:
            yield Verdict(
                RULE,
                "refused",
                cluster.name,
                "K3s is to be upgraded, and nothing says how its external datastore is saved before",
                "Say it: `cluster: {snapshot: {command: [./snapshot.sh]}}`. It runs on this machine, and 0 means saved.",
                cluster.place,
            )
