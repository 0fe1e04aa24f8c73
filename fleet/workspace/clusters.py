"""Clusters as the verbs of a workspace reach them: by the ssh of their servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.model.node import Node
    from fleet.model.secret import LockedSecret
    from fleet.operations.intent import Intent
    from fleet.ports.applier import Applier
    from fleet.ports.cluster import Cluster
    from fleet.ports.secrets import Secrets
    from fleet.wiring import Wiring


def cluster_of(wiring: Wiring, intent: Intent) -> Callable[[Node], Cluster]:
    """A server's cluster. The vault is opened for a server whose spec names a secret for sudo, when it is asked."""
    secrets, locked = wiring.secrets, intent.spec.secrets_lock.secrets

    def open_cluster(server: Node) -> Cluster:
        name = server.connection.become_password
        if name not in locked:
            return wiring.cluster(server, intent.spec.known_hosts)
        return wiring.cluster(server, intent.spec.known_hosts, lambda: _value(secrets, locked[name], name))

    return open_cluster


def draining(wiring: Wiring, intent: Intent, *, is_resumed: bool = False) -> Callable[[Applier], Applier]:
    """Puts an applier behind one that drains servers first. The same one, where there is nothing to drain."""
    from fleet.operations.draining import DrainingApplier, moves

    found = moves(intent, is_resumed=is_resumed)

    def around(applier: Applier) -> Applier:
        if not found:
            return applier
        return DrainingApplier(applier, found, cluster_of(wiring, intent), intent.fleet.drain, wiring.clock)

    return around


def _value(secrets: Secrets, locked: LockedSecret, name: str) -> bytes:
    return secrets.read(locked.file)[name].encode()
