"""doctor: looks at the controller, its mirrors, and the nodes of a scope, and says what keeps them from working."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from fleet.diagnose import Seen, of_controller, of_nodes, of_silence
from fleet.diagnose.controller import Controller
from fleet.errors import UnavailableError
from fleet.formats import known_hosts as pins
from fleet.k3s.artifacts import release_path
from fleet.k3s.modules import needed_modules
from fleet.model.batch import NodeTask
from fleet.model.diagnosis import Diagnosis, Probe
from fleet.model.node import Node
from fleet.operations.intent import Intent
from fleet.ports.applier import Hand
from fleet.ports.clock import Clock
from fleet.ports.mirror import Mirror
from fleet.ports.records import Records
from fleet.ports.surroundings import Machine

_BACKEND = "flannel-backend"


class DoctorHands(msgspec.Struct, frozen=True, eq=False):
    """What it looks with. `hand` is None where no node is to be asked."""

    machine: Machine
    mirror: Mirror
    hand: Hand | None
    records: Records
    clock: Clock
    forks: int = 20


def doctor(intent: Intent, nodes: Sequence[Node], hands: DoctorHands) -> Iterator[Diagnosis]:
    """The controller first, then the nodes; equal things together."""
    yield from of_controller(_controller(intent, nodes, hands))
    seen: list[Seen] = []
    unreachable: dict[str, str] = {}
    if hands.hand is not None and nodes:
        asked_at = hands.clock.now()
        by_name = {node.name: node for node in nodes}
        task = NodeTask("probe", {"fleet_run_modules": {node.name: list(_modules(node)) for node in nodes}})
        for answer in hands.hand.run(task, [*by_name]):
            if answer.outcome != "done":
                unreachable[answer.node] = answer.reason
                continue
            node, record = by_name[answer.node], intent.records.get(answer.node)
            began, ended = answer.began or asked_at, answer.ended or hands.clock.now()
            try:
                probe = msgspec.convert(answer.result.get("probe"), Probe)
            except msgspec.ValidationError as error:
                unreachable[answer.node] = f"what it tells of itself cannot be read: {error}"
                continue
            seen.append(Seen(node.name, probe, began, ended, node.is_k3s, record.machine_id if record else ""))
        yield from of_nodes(seen)
    silent = {node.name for node in nodes}.difference(each.node for each in seen)
    contacts = {name: at for name, at in hands.records.contacts().items() if name in silent}
    yield from of_silence(unreachable, contacts, hands.clock.now())


def _controller(intent: Intent, nodes: Sequence[Node], hands: DoctorHands) -> Controller:
    text = intent.spec.known_hosts.decode("utf-8", errors="replace")
    ways = {node.name: node.connection for node in nodes if node.connection.type == "ssh"}
    unpinned = [name for name, way in ways.items() if not pins.keys_of(text, way.address, way.port)]
    return Controller(
        hands.machine.look(),
        forks=hands.forks,
        unpinned=tuple(unpinned),
        unlocked=intent.fleet.unlocked,
        mirrors=_mirrors(intent, hands.mirror),
    )


def _mirrors(intent: Intent, mirror: Mirror) -> dict[str, str]:
    """Why each mirror does not give what fleet.lock pins, empty where it does; none is asked while nothing is pinned."""
    release = max(intent.lock.releases.values(), key=lambda one: one.version, default=None)
    if release is None or not release.binaries:
        return {}
    path = release_path(release.version, next(iter(release.binaries.values())).name)
    return {url: _refusal(mirror, f"{url.rstrip('/')}/{path}") for url in intent.fleet.mirrors}


def _refusal(mirror: Mirror, url: str) -> str:
    try:
        mirror.size(url)
    except UnavailableError as error:
        return error.message
    return ""


def _modules(node: Node) -> tuple[str, ...]:
    return needed_modules(str(node.settings.k3s.config.get(_BACKEND, ""))) if node.is_k3s else ()
