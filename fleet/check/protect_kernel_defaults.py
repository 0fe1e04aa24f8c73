"""With protect-kernel-defaults the kubelet starts only where the kernel has the settings that it expects.

Source: k3s-io/docs security/hardening-guide.md ("Ensure protect-kernel-defaults is set"); `fleet.k3s.cis.SYSCTLS`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.check.values import is_on
from fleet.k3s.cis import SYSCTLS
from fleet.model.node import Node
from fleet.model.verdict import Verdict

RULE = "protect-kernel-defaults"


def judge(picture: Picture) -> Iterator[Verdict]:
    """Judges each settings once, at the first node that has them and changes."""
    seen: set[tuple[int, int, str]] = set()
    for change in picture.changes:
        node = picture.nodes[change.node]
        key = (id(node.settings.k3s), id(node.settings.os), node.settings.hardening)
        if node.is_k3s and key not in seen:
            seen.add(key)
            yield from _settings(node)


def _settings(node: Node) -> Iterator[Verdict]:
    is_hardened = node.settings.hardening == "cis"
    if not is_hardened and not is_on(node.settings.k3s.config, "protect-kernel-defaults"):
        return
    own = node.settings.os.sysctl
    wrong = [
        f"{name} {own[name]} (wants {value})"
        for name, value in SYSCTLS.items()
        if own.get(name, str(value)) != str(value)
    ]
    if wrong:
        yield Verdict(
            RULE,
            "refused",
            node.name,
            f"os.sysctl sets what the kubelet refuses to start with: {', '.join(wrong)}",
            "Leave those out of os.sysctl, or turn protect-kernel-defaults off.",
            node.place,
        )
    missing = [f"{name}={value}" for name, value in SYSCTLS.items() if name not in own]
    if missing and not is_hardened:
        yield Verdict(
            RULE,
            "warning",
            node.name,
            f"protect-kernel-defaults is on, and nothing sets {', '.join(missing)}: the kubelet may not start",
            "Say `hardening: cis`, which sets them, or set them in os.sysctl.",
            node.place,
        )
