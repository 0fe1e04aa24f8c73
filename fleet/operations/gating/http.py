"""HTTP gates: a URL, or one for each node."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.formats.urls import filled, host
from fleet.formats.words import count
from fleet.model.gate import GateAnswer, HttpGate, asks_each_node
from fleet.model.inquiry import Reply
from fleet.model.node import Node
from fleet.operations.gating.answers import Try, answer_of, named, of_each, took
from fleet.operations.gating.crowd import Crowd
from fleet.operations.gating.scene import Scene
from fleet.ports.web import Web

AT_ONCE = 64
"""Questions under way: a node that never answers holds one of them for as long as the gate's timeout."""
_UNKNOWN = frozenset({"unresolved", "untrusted", "unusable", "stopped"})
_FINAL = frozenset({"untrusted", "unusable", "stopped", "redirect"})
_REDIRECTS = range(300, 400)


class _Target(msgspec.Struct, frozen=True):
    node: str
    url: str


class HttpAsker:
    def __init__(self, web: Web) -> None:
        self._web = web

    def ask(self, gate: HttpGate, scene: Scene) -> GateAnswer:
        name = named(gate)
        if asks_each_node(gate):
            return self._of_nodes(name, gate, scene)
        (found,) = self._asked(gate, scene, [_Target("", filled(gate.url, {"wave": scene.order.wave}))])
        return answer_of(name, found)

    def _of_nodes(self, name: str, gate: HttpGate, scene: Scene) -> GateAnswer:
        asked = [node for node in scene.nodes if not _is_nobody(gate, node)]
        targets = [_Target(node.name, filled(gate.url, _values(scene, node))) for node in asked]
        tries = self._asked(gate, scene, targets)
        found = {target.node: tried for target, tried in zip(targets, tries, strict=True)}
        ill = {node: tried.why for node, tried in found.items() if tried.why}
        unknown = {node for node, tried in found.items() if tried.is_unknown}
        parts = [f"{gate.expect} from {count(len(asked) - len(ill), 'node')}"] if asked else []
        if seconds := [tried.seconds for tried in tries if not tried.why]:
            parts.append(f"the slowest in {took(max(seconds))}")
        if nobody := len(scene.nodes) - len(asked):
            parts.append(f"{count(nobody, 'sandbox', 'sandboxes')} not asked: no machine has that address")
        parts += [scene.left] if scene.left else []
        return of_each(name, ill, unknown, len(asked), ", ".join(parts) or "no node to ask")

    def _asked(self, gate: HttpGate, scene: Scene, targets: Sequence[_Target]) -> list[Try]:
        follows = gate.expect not in _REDIRECTS  # else the redirect itself is the answer

        def tries(target: _Target, left: float) -> Try:
            return _judged(gate, self._web.get(target.url, left, follows=follows))

        return Crowd(scene, gate.timeout, tries).ask(targets, AT_ONCE)


def _judged(gate: HttpGate, reply: Reply) -> Try:
    via = f" (by way of the proxy {reply.proxy})" if reply.proxy else ""
    if reply.trouble:
        return Try(f"{reply.reason}{via}", reply.trouble in _FINAL, reply.trouble in _UNKNOWN)
    why = ""
    if reply.status != gate.expect:
        why = f"{reply.status}, not {gate.expect}{via}"
    elif gate.contains.encode() not in reply.body:
        why = f"{reply.status} without the text {gate.contains!r}{via}"
    return Try(why, measured=f"{reply.status} in {took(reply.seconds)}", seconds=reply.seconds)


def _values(scene: Scene, node: Node) -> dict[str, str]:
    """The address is the spec's; where it has none, the name under which the node is dialled."""
    address = node.addresses[0] if node.addresses else node.connection.address
    return {
        "wave": scene.order.wave,
        "node.name": node.name,
        "node.site": node.site,
        "node.address": host(address),
    }


def _is_nobody(gate: HttpGate, node: Node) -> bool:
    """A sandbox is a folder: who has its address, if anybody, has not been changed."""
    return node.connection.type == "sandbox" and "{node.address}" in gate.url
