"""Clusters as the verbs of a workspace reach them: by the ssh of their servers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
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
    one_at_a_time = threading.Lock()  # clusters are asked side by side, and a person is asked for a password once

    def sudo_password(name: str) -> bytes:
        with one_at_a_time:
            return _value(secrets, locked[name], name)

    def open_cluster(server: Node) -> Cluster:
        name = server.connection.become_password
        if name not in locked:
            return wiring.cluster(server, intent.spec.known_hosts)
        return wiring.cluster(server, intent.spec.known_hosts, partial(sudo_password, name))

    return open_cluster


def with_clusters(wiring: Wiring, intent: Intent, *, is_resumed: bool = False) -> Callable[[Applier], Applier]:
    """Puts an applier behind those that do the clusters' side: a Node gets its labels, then its server is drained."""
    from fleet.operations.draining import DrainingApplier, moves
    from fleet.operations.marking import MarkingApplier, marks

    found, ask = moves(intent, is_resumed=is_resumed), cluster_of(wiring, intent)

    def around(applier: Applier) -> Applier:
        if found:
            silent = wiring.silent(intent.fleet.nodes)
            applier = DrainingApplier(applier, found, ask, intent.fleet.drain, wiring.clock, silent)
        return MarkingApplier(applier, partial(marks, intent, wiring.records), ask, wiring.records)

    return around


def uncordoning(wiring: Wiring, intent: Intent) -> Callable[[Applier], Applier]:
    """Puts an applier behind the one that lets servers take pods again, for batches that are only adopted."""
    from fleet.operations.draining import DrainingApplier, moves

    found, ask = moves(intent, only_adopts=True), cluster_of(wiring, intent)
    return lambda applier: DrainingApplier(applier, found, ask, intent.fleet.drain, wiring.clock)


def _value(secrets: Secrets, locked: LockedSecret, name: str) -> bytes:
    return secrets.read(locked.file)[name].encode()
