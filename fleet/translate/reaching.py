"""A node's own addresses, and where it is dialled where that is something else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import msgspec

from fleet.translate.connection import Connections, Way, way_of
from fleet.translate.ground import Ground
from fleet.translate.names import is_address

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Reach(msgspec.Struct, frozen=True):
    """`dial` is empty where the first address is dialled."""

    addresses: tuple[str, ...]
    dial: str


def reaches(
    ground: Ground, connections: Connections, own: Mapping[str, tuple[str, ...]], nodes: Mapping[str, str]
) -> dict[str, Reach]:
    """Every host's. `own` are addresses that a playbook calls a host's own. An address that several hosts share, told apart by ports, is that of a router: no node has it."""
    ways = {host: way_of(host, connections, ground.effective) for host in ground.facts.inventory.hosts}
    shared = Counter(way.target for way in ways.values() if way is not None)
    made = {}
    for host, way in ways.items():
        known = own.get(host, ())
        target = _target(host, way, nodes[host], ground)
        if not known and is_address(target) and shared[target] == 1:
            made[host] = Reach((target,), "")
        else:
            made[host] = Reach(known, "" if known and target == known[0] else target)
    return made


def _target(host: str, way: Way | None, node: str, ground: Ground) -> str:
    """An address or a host name. What is neither is told, and the node's name stands in for it."""
    hint = f"Say `connection: {{address: …}}` of {node}"
    mark = ground.facts.inventory.marks.hosts[host]
    if way is None:
        found = ground.effective.of(host, "ansible_ssh_host") or ground.effective.of(host, "ansible_host")
        message = "not carried over: only Ansible can work out where it is"
        ground.notes.warn(mark if found is None else found.mark, "ansible_host", message, hint)
        return host if _HOST_NAME.fullmatch(host) else node
    if is_address(way.target) or _HOST_NAME.fullmatch(way.target):
        return way.target
    message = f"`{way.target}` is neither an address nor a host name: {node} stands in for it"
    ground.notes.warn(mark if way.definition is None else way.definition.mark, host, message, hint)
    return node
