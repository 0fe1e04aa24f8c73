"""A Kubernetes cluster, as far as its Nodes go: what they are called, whether pods may come, and how they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from fleet.model.cluster_node import NOTHING_GIVEN, ClusterNode, DatastoreHealth, Given, NodeIdentity
from fleet.model.drain import DrainEvent, DrainRule


class Cluster(Protocol):
    """Entered before use; what was opened to reach it is closed at the end, whatever happens.

    Everything raises UnavailableError, naming node and step, where the API server cannot be reached, does not answer in
    time, refuses, or has trouble of its own that does not pass. Each call may be made again after any of these.

    What takes a `NodeIdentity` raises RefusedError when the Node belongs to another machine, and, but for `delete`, when
    there is none.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def nodes(self) -> Sequence[ClusterNode]:
        """All Nodes, by name."""
        ...

    def reconcile(
        self, node: NodeIdentity, labels: Mapping[str, str], taints: Sequence[str], given: Given = NOTHING_GIVEN
    ) -> ClusterNode:
        """The Node then has these labels and taints (`key=value:Effect`), and no longer those that an earlier call gave, or
        its registration according to `given`, and this one does not. Others' stay. RefusedError where somebody else has
        set one of them to something else.
        """
        ...

    def cordon(self, node: NodeIdentity, reason: str) -> ClusterNode:
        """No new pods. The Node itself remembers that this cordon is ours, beside one that was there already."""
        ...

    def uncordon(self, node: NodeIdentity) -> ClusterNode:
        """Takes back our cordon, if there is one; what somebody else cordoned stays so."""
        ...

    def drain(self, node: NodeIdentity, rule: DrainRule, reason: str) -> Iterator[DrainEvent]:
        """Cordons, then evicts the pods that are there and waits until they are gone.

        The last event is NodeDrained or NodeNotDrained. Ending the iterator early leaves the Node as it is then.
        """
        ...

    def delete(self, node: NodeIdentity) -> None:
        """Takes the Node out, and then K3s's password for its name. Done already is done."""
        ...

    def datastore(self) -> DatastoreHealth: ...
