from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from fleet.model.learned import LearnedCluster
from fleet.model.record import HeldBack, Record, Silence
from fleet.ports.journal import Lease


class MemoryRecords:
    """`saves` counts calls of `save`, for tests of when records are kept. `now` is when nodes answer. `check` raises for
    a lease that is not the newest, as `MemoryJournal.check` does.
    """

    def __init__(
        self,
        records: Iterable[Record] = (),
        now: Callable[[], float] = lambda: 0.0,
        check: Callable[[Lease], None] = lambda _lease: None,
    ) -> None:
        self._now = now
        self._check = check
        self._contacts: dict[str, float] = {}
        self._records: dict[str, Record] = {}
        self._unanswered: dict[str, tuple[str, ...]] = {}
        self._silent: dict[str, Silence] = {}
        self._held_back: dict[str, HeldBack] = {}
        self._objects: dict[str, bytes] = {}
        self._clusters: dict[str, LearnedCluster] = {}
        self.saves = 0
        self.save(records)

    def all(self) -> Mapping[str, Record]:
        return dict(self._records)

    def manifests(self, digests: Iterable[str]) -> Mapping[str, str]:
        return {key: body.decode() for key, body in self.blobs(digests).items()}

    def save(self, records: Iterable[Record], lease: Lease | None = None) -> None:
        if lease:
            self._check(lease)
        self.saves += 1
        for record in records:
            self._records[record.node] = replace(record, manifest="")
            self._contacts[record.node] = self._now()
            self._unanswered.pop(record.node, None)
            self._silent.pop(record.node, None)
            if record.manifest and (digest := record.digest or record.wanted):
                self._objects.setdefault(digest, record.manifest.encode())

    def learned(self, nodes: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        known = {node: self._records[node].learned for node in nodes if node in self._records}
        return {node: told for node, told in known.items() if told}

    def forget(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._records.pop(node, None)
            self._contacts.pop(node, None)
            self._unanswered.pop(node, None)
            self._silent.pop(node, None)
            self._held_back.pop(node, None)

    def contacts(self) -> Mapping[str, float]:
        return dict(self._contacts)

    def note_unanswered(self, sent: Mapping[str, str], lease: Lease | None = None) -> None:
        if lease:
            self._check(lease)
        for node, digest in sent.items():
            known = self._unanswered.get(node, ())
            self._unanswered[node] = tuple(sorted({*known, digest}))

    def unanswered(self) -> Mapping[str, tuple[str, ...]]:
        return dict(self._unanswered)

    def note_silent(self, asked: Iterable[Silence]) -> None:
        at = self._now()
        for each in asked:
            known = self._silent.get(each.node)
            self._silent[each.node] = replace(each, since=known.since if known else at, at=at)

    def silent(self) -> Mapping[str, Silence]:
        return dict(self._silent)

    def hold_back(self, bundles: Mapping[str, str], rollout_id: str, lease: Lease | None = None) -> None:
        if lease:
            self._check(lease)
        self._held_back |= {node: HeldBack(digest, rollout_id) for node, digest in bundles.items()}

    def held_back(self) -> Mapping[str, HeldBack]:
        return dict(self._held_back)

    def let_go(self, rollout_id: str) -> None:
        self._held_back = {node: held for node, held in self._held_back.items() if held.rollout != rollout_id}

    def blobs(self, shas: Iterable[str]) -> Mapping[str, bytes]:
        return {sha: self._objects[sha] for sha in shas if sha in self._objects}

    def keep_blobs(self, blobs: Mapping[str, bytes]) -> None:
        for sha, body in blobs.items():
            self._objects.setdefault(sha, body)

    def clusters(self) -> Mapping[str, LearnedCluster]:
        return dict(self._clusters)

    def learn_clusters(self, clusters: Mapping[str, LearnedCluster]) -> None:
        self._clusters.update(clusters)
