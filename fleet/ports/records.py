"""The controller's copy of what nodes hold. Losing it loses history, never truth: the nodes' own records rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from fleet.model.learned import LearnedCluster
from fleet.model.record import HeldBack, Record, Silence

if TYPE_CHECKING:
    from fleet.ports.journal import Lease  # brings all of rollouts with it, and most who read records do without


class Records(Protocol):
    """`all` leaves out manifests; `manifests` fetches them by digest; blobs are contents without secrets by sha256.

    What is written with a lease is fenced as the journal is: `BusyError`, and nothing kept, once a newer controller has it.
    """

    def all(self) -> Mapping[str, Record]: ...

    def manifests(self, digests: Iterable[str]) -> Mapping[str, str]: ...

    def save(self, records: Iterable[Record], lease: Lease | None = None) -> None: ...

    def learned(self, nodes: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        """`Record.learned` of those nodes that have told something."""
        ...

    def forget(self, nodes: Iterable[str]) -> None: ...

    def contacts(self) -> Mapping[str, float]:
        """When each node that has a record last answered: seconds since 1970, by this machine's clock."""
        ...

    def note_unanswered(self, sent: Mapping[str, str], lease: Lease | None = None) -> None:
        """Digests that were sent to nodes which never answered: each may hold it by now. The next record of a node, or
        its end, makes an end of that.
        """
        ...

    def unanswered(self) -> Mapping[str, tuple[str, ...]]: ...

    def note_silent(self, asked: Iterable[Silence]) -> None:
        """Nodes that did not answer when they were looked at. The next record of a node, or its end, makes an end of that."""
        ...

    def silent(self) -> Mapping[str, Silence]: ...

    def hold_back(self, bundles: Mapping[str, str], rollout_id: str, lease: Lease | None = None) -> None:
        """Digests by node, of bundles that are not to be brought again. One a node: the newest counts."""
        ...

    def held_back(self) -> Mapping[str, HeldBack]: ...

    def let_go(self, rollout_id: str) -> None:
        """What was held back because of this rollout may be brought again."""
        ...

    def blobs(self, shas: Iterable[str]) -> Mapping[str, bytes]: ...

    def keep_blobs(self, blobs: Mapping[str, bytes]) -> None: ...

    def clusters(self) -> Mapping[str, LearnedCluster]: ...

    def learn_clusters(self, clusters: Mapping[str, LearnedCluster]) -> None: ...
