"""Hosts that come and go: keys that are trusted, machines that are seeded, adopted, given back, replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, starmap
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.errors import UsageError
from fleet.model.plan import EVERYTHING, Scope

if TYPE_CHECKING:
    from fleet.model.diagnosis import Diagnosis
    from fleet.model.host import HostEvent, NodeReplaced
    from fleet.model.host_key import TrustRow
    from fleet.model.node import Node
    from fleet.model.status import Offline
    from fleet.operations.adopt import AdoptOptions
    from fleet.operations.intent import Intent
    from fleet.operations.retire import RetireOptions
    from fleet.ports.applier import Hand
    from fleet.ports.cluster import Cluster
    from fleet.wiring import Wiring


class Hosts:
    """Of one fleet folder; `workspace.hosts`. `read` gives what git says, at a commit where one is named."""

    def __init__(self, wiring: Wiring, read: Callable[[str], Intent], forks: int = 20) -> None:
        self._wiring = wiring
        self._read = read
        self._forks = forks

    def offline(self) -> Offline:
        """Nodes that did not answer when they were last asked, without reading the spec."""
        from fleet.operations.offline import offline

        return offline(self._wiring.records, self._wiring.journal)

    def keys(self, scope: Scope) -> Iterator[TrustRow]:
        """The host key that each node of the scope shows over its own connection, beside what known_hosts pins."""
        from fleet.operations.trust import shown
        from fleet.resolve import in_scope

        intent = self._read("")
        yield from shown(intent, in_scope(intent.fleet, scope), self._wiring.host_keys(self._forks))

    def pin(self, rows: Sequence[TrustRow], *, replace: bool = False, commit: bool = True) -> str:
        """Pins keys that somebody vouched for in known_hosts, and commits that file alone. The commit's id, "" for none."""
        from fleet.operations.trust import pin

        return pin(self._read(""), rows, self._wiring.source, replace=replace, commit=commit)

    def seed(self, name: str, public_key: str = "") -> str:
        """cloud-init user data for a node. Without `public_key` (a file), the one beside the connection's private key."""
        from fleet.formats.known_hosts import is_key
        from fleet.render.seed import user_data

        node = _named(self._read(""), [name])[0]
        if node.connection.type == "sandbox":
            raise UsageError(
                f"{name} is a folder on this machine: there is nothing to start", f"fleet apply --node {name}"
            )
        file = Path(public_key or f"{node.connection.private_key}.pub").expanduser()
        if not public_key and not node.connection.private_key:
            raise UsageError(f"the connection of {name} names no privateKey", "Say which key with --public-key FILE.")
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"cannot read the public key {file}: {error}", "Say which key with --public-key FILE."
            ) from None
        # The kind and the key, behind options where there are some, as in authorized_keys.
        if len(text.strip().splitlines()) != 1 or not any(starmap(is_key, pairwise(text.split()))):
            raise UsageError(f"{file} is no public key of ssh: expected one line, such as `ssh-ed25519 AAAA… name`")
        return user_data(node, text)

    def adopt(self, names: Sequence[str], options: AdoptOptions) -> Iterator[HostEvent]:
        """Takes hosts that are in use under management. What differs waits; nothing is restarted."""
        from fleet.operations.adopt import adopt

        intent = self._read("")
        nodes = _named(intent, names)
        yield from adopt(intent, nodes, self._hand(intent), self._wiring.records, options)

    def retire(self, names: Sequence[str], options: RetireOptions, *, cluster: bool = True) -> Iterator[HostEvent]:
        """Gives back nodes that left the spec; without `cluster`, Kubernetes is not told."""
        from fleet.operations.retire import RetireHands, retire

        intent, wiring = self._read(""), self._wiring
        cluster_of = self._cluster_of(intent) if cluster else None
        hands = RetireHands(self._read, self._hand, wiring.records, wiring.source, cluster_of)
        yield from retire(names, intent, hands, options)

    def check_enrolled(self, name: str) -> None:
        """Raises UsageError for a node that cannot be replaced: the spec does not have it, or it was never applied."""
        from fleet.operations.retire import enrolled

        enrolled(self._read(""), name)

    def replace(self, name: str, *, cluster: bool = True) -> NodeReplaced:
        """Frees a node's name for new hardware: the old machine is expected no more; without `cluster`, Kubernetes is not
        told. Raises UnavailableError or RefusedError where its cluster does not let it go.
        """
        from fleet.operations.retire import replace

        intent = self._read("")
        return replace(intent, name, self._wiring.records, self._cluster_of(intent) if cluster else None)

    def doctor(self, scope: Scope = EVERYTHING, *, asks_nodes: bool = True) -> Iterator[Diagnosis]:
        """What keeps this machine, the mirrors or the nodes of the scope from working."""
        from fleet.operations.doctor import DoctorHands, doctor
        from fleet.resolve import in_scope

        wiring, intent = self._wiring, self._read("")
        hand = self._hand(intent) if asks_nodes else None
        hands = DoctorHands(wiring.machine, wiring.mirror, hand, wiring.records, wiring.clock, self._forks)
        yield from doctor(intent, in_scope(intent.fleet, scope), hands)

    def _cluster_of(self, intent: Intent) -> Callable[[Node], Cluster]:
        from fleet.workspace.clusters import cluster_of

        return cluster_of(self._wiring, intent)

    def _hand(self, intent: Intent) -> Hand:
        from fleet.operations.preparing import project_writer

        return self._wiring.hand(
            project_writer(intent, self._wiring.folder, self._wiring.shipped, self._wiring.records), self._forks
        )


def _named(intent: Intent, names: Sequence[str]) -> list[Node]:
    """Raises UsageError for one that the spec does not have."""
    from fleet.resolve import in_scope

    return list(in_scope(intent.fleet, Scope(nodes=tuple(names))))
