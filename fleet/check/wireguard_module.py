"""flannel's wireguard-native backend needs the kernel's wireguard module on every node first.

Source: k3s-io/docs networking/basic-network-options.md; k3s-contract.md, rule 7.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import value_of
from fleet.k3s.rules import needs_wireguard_module
from fleet.model.verdict import Verdict

RULE = "wireguard-module"


def judge(picture: Picture) -> Iterator[Verdict]:
    """Speaks when a node joins or the backend changes; what a kernel has is not in any record."""
    for cluster in picture.touched:
        after = next((facts for name in cluster.servers if (facts := picture.after(name)) is not None), None)
        if after is None or not needs_wireguard_module(value_of(after.config, "flannel-backend")):
            continue
        before = next(picture.living(cluster), None)
        is_new = before is None or not needs_wireguard_module(value_of(before.config, "flannel-backend"))
        if is_new or cluster.name in picture.joined:
            yield Verdict(
                RULE,
                "warning",
                cluster.name,
                "flannel-backend wireguard-native needs the kernel module wireguard on every node",
                "See that `modprobe wireguard` works on all of them (Linux 5.6 and later have it), then apply.",
                cluster.place,
            )
