"""K3s's own rules about settings that only inheritance makes visible: which minor, which role.

Judged once per distinct settings and role, never once per node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fleet.k3s.config import config_problems
from fleet.k3s.keys import server_only
from fleet.k3s.version import minor_of
from fleet.model.node import Node
from fleet.model.problem import Mistake
from fleet.resolve.layers import Written
from fleet.resolve.origin import place_of
from fleet.resolve.settings import SNAPSHOT

OWNED_KEYS = {
    "token": "it writes the cluster's token from `secrets/` into a file of its own",
    "token-file": "it writes the cluster's token from `secrets/` into a file of its own",
    "agent-token": "it writes the cluster's agent token from `secrets/` into a file of its own",
    "agent-token-file": "it writes the cluster's agent token from `secrets/` into a file of its own",
    "server": "it follows from `cluster`",
    "cluster-init": "it follows from `cluster: {datastore: etcd}`",
    "datastore-endpoint": "it follows from `cluster: {datastore: {external: …}}`",
    "datastore-cafile": "say `cluster: {datastore: {external: {ca: …}}}`",
    "datastore-certfile": "say `cluster: {datastore: {external: {cert: …}}}`",
    "datastore-keyfile": "say `cluster: {datastore: {external: {key: …}}}`",
    "node-name": "it is the node's name",
    "node-label": "say `k3s: {labels: …}`",
    "node-taint": "say `k3s: {taints: …}`",
    "tls-san": "say `cluster: {endpoint: …}`",
    "node-ip": "it is the node's address",
}
"""Keys of config.yaml that `fleet` sets itself (spec.md, k3s.config), and what to say instead."""

Layers = Callable[[Node], list[Written]]


def settings_mistakes(nodes: Sequence[Node], layers: Layers) -> Iterator[Mistake]:
    """What is wrong with the K3s settings of any node, each mistake once, where the value is written."""
    seen: set[tuple[int, str]] = set()
    looked: set[tuple[int, str]] = set()
    said: set[tuple[Any, ...]] = set()
    for node in nodes:
        key = (id(node.settings.os), node.k3s_unit)
        if key not in looked:
            looked.add(key)
            yield from _judge_os(node, layers)
        key = (id(node.settings.k3s), node.role)
        if not node.is_k3s or key in seen:
            continue
        seen.add(key)
        yield from _manifests_without_content(node, layers)
        for mistake in _judge(node, layers):
            mark = (mistake.place, mistake.message)
            if mark not in said:
                said.add(mark)
                yield mistake


def reboots_without_window(nodes: Sequence[Node], layers: Layers) -> Iterator[Mistake]:
    """A node that waits for a window which nobody opens would never be rebooted. Each place that says so once."""
    looked: set[int] = set()
    said: set[Any] = set()
    for node in nodes:
        system = node.settings.os
        if id(system) in looked or not (system.updates.are_wanted and system.updates.reboot == "window"):
            continue
        looked.add(id(system))
        place = place_of(layers(node), ("os", "updates", "reboot"))
        if place not in said:
            said.add(place)
            message = (
                f"{node.name} waits for a window to reboot in, and the fleet's rolloutPolicy has no updateSchedule"
            )
            yield Mistake(
                place, message, "Give the policy `updateSchedule: {at: …, duration: …}`, or say `reboot: never`."
            )


def _judge(node: Node, layers: Layers) -> Iterator[Mistake]:
    k3s = node.settings.k3s
    config = k3s.config
    chain: list[Written] = []
    role = "server" if node.role == "server" else "agent"
    if role == "agent":
        own = _own_config(layers(node)) if any(server_only(key) for key in config) else {}
        config = {key: value for key, value in config.items() if not server_only(key) or key in own}
    for name in sorted(config.keys() & OWNED_KEYS.keys()):
        chain = chain or layers(node)
        yield Mistake(
            place_of(chain, ("k3s", "config", name)),
            f"k3s.config.{name} is set by fleet itself: {OWNED_KEYS[name]}",
            "Leave it out.",
            on_key=True,
        )
    config = {key: value for key, value in config.items() if key not in OWNED_KEYS}
    minor = minor_of(k3s.version) if k3s.version else None
    for problem in config_problems(config, minor=minor, role=role):  # type: ignore[arg-type]
        chain = chain or layers(node)
        yield Mistake(
            place_of(chain, ("k3s", "config", problem.key)),
            f"k3s.config.{problem.key}: {problem.problem}",
            problem.hint,
            severity="warning" if problem.is_warning else "error",
            on_key=True,
        )


def _judge_os(node: Node, layers: Layers) -> Iterator[Mistake]:
    """Files merge by path, so that only here it shows when no layer of a node says what is in one. So with a source of
    updates and its day.
    """
    updates = node.settings.os.updates
    for source in updates.sources if updates.are_wanted else ():
        if SNAPSHOT in source:
            yield Mistake(
                place_of(layers(node), ("os", "updates", "sources")),
                f"`{source}` wants a day, and no layer of {node.name} gives one",
                "Say `snapshot: 2026-11-01`, or leave {snapshot} out.",
            )
    for unit in node.settings.os.units:
        if unit.name == node.k3s_unit:
            yield Mistake(
                place_of(layers(node), ("os", "units")),
                f"unit {unit.name} of {node.name} is one that fleet keeps running itself",
                "Leave it out.",
            )
    for file in node.settings.os.files:
        if file.content.kind == "missing":
            yield Mistake(
                place_of(layers(node), ("os", "files")),
                f"{file.path} has no content on {node.name}: none of its layers gives one",
                "Say content, template or source where the file is first named.",
            )


def _manifests_without_content(node: Node, layers: Layers) -> Iterator[Mistake]:
    for manifest in node.settings.k3s.manifests:
        if manifest.content.kind == "missing":
            yield Mistake(
                place_of(layers(node), ("k3s", "manifests")),
                f"manifest {manifest.name} has no content on {node.name}: none of its layers gives one",
                "Say content, template or source where the manifest is first named.",
            )


def _own_config(chain: list[Written]) -> dict[str, Any]:
    """What the node (or its set) itself says: a server's key written there is a mistake, an inherited one is not."""
    config = chain[-1].value.get("k3s", {}).get("config") or {}
    return {key.rstrip("+"): value for key, value in config.items()}
