"""Documents, and the whole Spec: what `load` gives and `resolve` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from fleet.model.lock import Lock
from fleet.model.problem import Mistake, Place, type_path
from fleet.model.secret import SecretsLock
from fleet.model.spec.fleet import FleetSpec
from fleet.model.spec.policy import RolloutPolicySpec
from fleet.model.spec.profile import ProfileSpec
from fleet.model.spec.scalars import Labels, Name, doc
from fleet.model.spec.segmentation import SegmentationSpec
from fleet.model.spec.site import SiteSpec

API_VERSION = "fleet/v1alpha1"
Kind = Literal["Fleet", "Profile", "Site", "SiteSet", "Segmentation", "RolloutPolicy"]
T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every document says of itself."""

    name: Annotated[Name, doc("Unique per kind.", "lyon-1")]
    labels: (
        Annotated[Labels, doc("Of a Site: labels that selectors see on its nodes.", {"region": "eu-west"})] | UnsetType
    ) = UNSET
    annotations: (
        Annotated[dict[str, str], doc("Notes for people and other tools; no effect.", {"owner": "shop team"})]
        | UnsetType
    ) = UNSET


class Document(msgspec.Struct, Generic[T], frozen=True, kw_only=True, eq=False):
    """One document of the spec, or one row of a SiteSet's table as a Site.

    `index` counts from 0 within `file`. Of a row, `file` and `index` are the SiteSet's, `table` and `row` the
    table's path and 1-based line. `prefix` leads from the SiteSet's root to the template; `origins` says of single
    paths (and what is below them) that they were written elsewhere: by an overlay, or by a row of the nodes' table.
    """

    kind: Kind
    name: str
    labels: Labels
    file: str
    index: int
    spec: T
    table: str = ""
    row: int = 0
    prefix: type_path = ()
    origins: Mapping[type_path, Place] = {}

    def place(self, *path: str | int) -> Place:
        """Where the value at `path`, counted from the document's root (`"spec", "nodes", 0`), was written."""
        for end in range(len(path), 0, -1) if self.origins else ():
            origin = self.origins.get(path[:end])
            if origin is not None:
                return msgspec.structs.replace(origin, path=(*origin.path, *path[end:]))
        return Place(self.file, self.index, self.prefix + path, self.table, self.row)


class Spec(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that people wrote, every name checked where one document is enough to check it.

    `files` are the repository's own, for templates and sources; they may be read when asked. `documents` counts ours,
    `others` what was left alone. `digest` is `sha256:` + hex over the sorted paths and contents that load read.
    """

    fleet: Document[FleetSpec]
    profiles: dict[str, Document[ProfileSpec]]
    sites: dict[str, Document[SiteSpec]]
    segmentation: dict[str, Document[SegmentationSpec]]
    policies: dict[str, Document[RolloutPolicySpec]]
    lock: Lock
    secrets_lock: SecretsLock
    known_hosts: bytes
    files: Mapping[str, bytes]
    documents: int
    others: int
    digest: str
    warnings: tuple[Mistake, ...] = ()
