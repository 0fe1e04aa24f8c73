"""Checks every document once all are there, and says what is wrong where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UnsetType

from fleet.load.checks.layer import LayerChecks, sourced_names
from fleet.load.checks.policy import policy_flaws
from fleet.load.checks.segmentation import segmentation_flaws
from fleet.load.checks.site import SiteChecks
from fleet.load.flaw import Flaw
from fleet.load.mistakes import MistakeList
from fleet.load.references import fleet_flaws, join_flaws, only_minor
from fleet.load.shelves import Shelves
from fleet.model.lock import Lock
from fleet.model.spec.document import Document
from fleet.model.spec.fleet import FleetSpec
from fleet.model.spec.settings import Layer


class Judge:
    def __init__(self, shelves: Shelves, lock: Lock, files: Mapping[str, bytes], mistakes: MistakeList) -> None:
        self._shelves = shelves
        self._mistakes = mistakes
        layers = list(self._all_layers())
        self._layers = LayerChecks(files, only_minor(layers, lock), sourced_names(layers))
        self._sites = SiteChecks(self._layers, shelves.names["Profile"])

    def judge(self) -> None:
        """Everything that is wrong goes to the mistakes."""
        shelves = self._shelves
        if shelves.fleet is not None:
            shelves.report(shelves.fleet, self._fleet(shelves.fleet.spec))
        for profile in shelves.profiles.values():
            shelves.report(profile, self._layers.of(("spec",), profile.spec))
        for name, site in shelves.sites.items():
            shelves.report(site, self._sites.of(name, site.labels, site.spec))
            shelves.report(site, join_flaws(name, site.spec, shelves.sites))
        for segmentation in shelves.segmentation.values():
            shelves.report(segmentation, segmentation_flaws(segmentation.spec))
        for policy in shelves.policies.values():
            shelves.report(policy, policy_flaws(policy.spec))
        shelves.say_how_many()

    def _fleet(self, spec: FleetSpec) -> Iterator[Flaw]:
        yield from self._layers.of(("spec",), spec)
        yield from self._sites.profiles(("spec", "profiles"), spec.profiles)
        yield from fleet_flaws(spec, self._shelves.names["RolloutPolicy"])
        git = spec.git
        if not isinstance(git, UnsetType) and isinstance(git.allowed_signers, str):
            yield from self._layers.repository_file(("spec", "git", "allowedSigners"), git.allowed_signers)

    def _all_layers(self) -> Iterator[Layer]:
        shelves = self._shelves
        documents: list[Document[Any]] = [*shelves.profiles.values(), *shelves.sites.values()]
        yield from (document.spec for document in ([shelves.fleet] if shelves.fleet else []) + documents)
        for site in shelves.sites.values():
            yield from [] if isinstance(site.spec.nodes, UnsetType) else site.spec.nodes
            yield from [] if isinstance(site.spec.node_sets, UnsetType) else site.spec.node_sets
