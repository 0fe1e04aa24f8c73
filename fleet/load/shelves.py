"""Documents by kind and name: each is converted as it comes, and what cannot be is kept as far as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UnsetType

from fleet.load.flaw import Flaw
from fleet.load.kinds import TYPES, convert
from fleet.load.mistakes import MistakeList
from fleet.load.reading import RawDocument, Reader
from fleet.load.salvage import Salvage
from fleet.load.template import has_column
from fleet.load.thorough import flaws
from fleet.load.words import near
from fleet.model.problem import Mistake, Place, type_path
from fleet.model.spec.document import Document, Kind, Metadata
from fleet.model.spec.fleet import FleetSpec
from fleet.model.spec.policy import RolloutPolicySpec
from fleet.model.spec.profile import ProfileSpec
from fleet.model.spec.segmentation import SegmentationSpec
from fleet.model.spec.site import SiteSpec
from fleet.model.spec.siteset import SiteSetSpec

if TYPE_CHECKING:
    from fleet.load.siteset import FilledSite

_ROWS_SHOWN = 10


class Shelves:
    """What was read, by kind and name. `salvages` says of a document that was wrong what is left of it."""

    def __init__(self, files: Mapping[str, bytes], reader: Reader, mistakes: MistakeList) -> None:
        self._mistakes = mistakes
        self._files, self._reader = files, reader
        self._names: dict[tuple[str, str, str], Place] = {}
        self._sets: dict[str, tuple[RawDocument, SiteSetSpec | None]] = {}
        self._overlays: dict[str, dict[str, RawDocument]] = {}
        self.fleet: Document[FleetSpec] | None = None
        self.profiles: dict[str, Document[ProfileSpec]] = {}
        self.sites: dict[str, Document[SiteSpec]] = {}
        self.segmentation: dict[str, Document[SegmentationSpec]] = {}
        self.policies: dict[str, Document[RolloutPolicySpec]] = {}
        self.salvages: dict[Document[Any], Salvage] = {}
        self.templates: dict[Document[Any], Any] = {}
        self.names: dict[str, set[str]] = {kind: set() for kind in TYPES}
        self.count = 0
        self.has_fleet = False
        self._wrong_rows: dict[Place, set[int]] = {}

    def put(self, raw: RawDocument) -> None:
        """Takes a document. What is wrong with it goes to the mistakes; what is right in it stays to be checked."""
        self.count += 1
        self.has_fleet |= raw.kind == "Fleet"
        metadata = raw.value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        spec = raw.value.get("spec")
        if (
            raw.kind == "Site"
            and isinstance(spec, dict)
            and isinstance(spec.get("from"), str)
            and isinstance(name, str)
        ):
            self._claim("Site", name, raw.place("metadata", "name"), table=spec["from"])
            self._overlays.setdefault(spec["from"], {})[name] = raw
            return
        if isinstance(name, str):
            self._claim(raw.kind, name, raw.place("metadata", "name"))
        try:
            document = convert(raw.value, raw.kind)
            salvage = None
        except msgspec.ValidationError:
            found = flaws(raw.value, TYPES[raw.kind])
            for flaw in found:
                self._mistakes.add(Mistake(raw.place(*flaw.path), flaw.message, flaw.hint, on_key=flaw.on_key))
            salvage = Salvage(raw.value, TYPES[raw.kind], found)
            document = salvage.document
        if raw.kind == "SiteSet":
            self._sets[str(name)] = (raw, None if salvage else document.spec)
        elif document is not None:
            self._shelve(raw, document, salvage)

    def _claim(self, kind: str, name: str, place: Place, *, table: str = "") -> None:
        """`table`: the name is that of a row, which will claim it for itself."""
        known = self._names.setdefault((kind, name, table), place)
        self.names[kind].add(name)
        if known is not place:
            self._mistakes.error(place, f"a second {kind} `{name}`", "Names are unique per kind.", others=(known,))

    def _shelve(self, raw: RawDocument, found: Any, salvage: Salvage | None) -> None:
        document: Document[Any] = Document(
            kind=_kind(raw.kind),
            name=found.metadata.name,
            labels=_labels(found.metadata),
            file=raw.file,
            index=raw.index,
            spec=found.spec,
        )
        self._keep(document, salvage)

    def _keep(self, document: Document[Any], salvage: Salvage | None) -> None:
        if salvage is not None:
            self.salvages[document] = salvage
        if document.kind == "Fleet":
            if self.fleet is not None:
                other = self.fleet.place("metadata", "name")
                message = "a second document of kind Fleet: there is exactly one"
                self._mistakes.error(document.place("metadata", "name"), message, others=(other,))
            else:
                self.fleet = document
            return
        by_kind: dict[str, dict[str, Document[Any]]] = {
            "Profile": self.profiles,
            "Site": self.sites,
            "Segmentation": self.segmentation,
            "RolloutPolicy": self.policies,
        }
        by_kind[document.kind].setdefault(document.name, document)

    def fill_site_sets(self) -> None:
        """Makes a Site of every row of every SiteSet. Called once, when all documents are there."""
        if not (self._sets or self._overlays):
            return
        from fleet.load.siteset import SiteSetFiller
        from fleet.load.tables import Tables

        tables = Tables(self._files, self._reader, self._mistakes)
        for name, (raw, spec) in self._sets.items():
            overlays = self._overlays.pop(name, {})
            if spec is None:
                continue
            filler = SiteSetFiller(raw, spec, tables, self._mistakes)
            made = set()
            for filled in filler.sites(overlays):
                made.add(self._fill(raw, filled, filler.table.file if filler.table else ""))
            for missing, overlay in overlays.items() if made else ():
                message = f"SiteSet `{name}` has no row that is the site `{missing}`"
                self._mistakes.error(overlay.place("metadata", "name"), message, near(missing, made))
        for name, lost in self._overlays.items():
            for overlay in lost.values():
                self._mistakes.error(overlay.place("spec", "from"), f"no SiteSet `{name}`", near(name, self._sets))

    def _fill(self, raw: RawDocument, filled: FilledSite, table: str) -> str:
        from fleet.load.siteset import RowSite

        value, salvage = filled.value, None
        try:
            metadata = msgspec.convert(value.get("metadata"), Metadata)
            spec = msgspec.convert(value.get("spec"), SiteSpec)
        except msgspec.ValidationError:
            plain = msgspec.to_builtins(value)
            found = flaws(plain, RowSite)
            salvage = Salvage(plain, RowSite, found)
            left = salvage.document
            metadata, spec = (left.metadata, left.spec) if left else (Metadata(name="unnamed"), SiteSpec())
            document = self._row(raw, filled, table, metadata, spec)
            self.report(document, found)
            if left is None:
                return str((value.get("metadata") or {}).get("name"))
        else:
            document = self._row(raw, filled, table, metadata, spec)
        self._claim("Site", document.name, document.place("metadata", "name"))
        self._keep(document, salvage)
        return document.name

    def _row(
        self, raw: RawDocument, filled: FilledSite, table: str, metadata: Metadata, spec: SiteSpec
    ) -> Document[SiteSpec]:
        from fleet.load.siteset import TEMPLATE

        document: Document[SiteSpec] = Document(
            kind="Site",
            name=metadata.name,
            labels=_labels(metadata),
            file=raw.file,
            index=raw.index,
            spec=spec,
            table=table,
            row=filled.row.line,
            prefix=TEMPLATE,
            origins=filled.origins,
        )
        self.templates[document] = raw.value["spec"]["template"]
        return document

    def report(self, document: Document[Any], found: Iterable[Flaw]) -> None:
        """Flaws become mistakes, placed where they were written; follow-on flaws of a wrong document are dropped."""
        salvage = self.salvages.get(document)
        for flaw in found:
            path, others = flaw.path, flaw.others
            if salvage is not None:
                path = salvage.written(path)
                others = tuple(map(salvage.written, others))
                if salvage.follows(path):
                    continue
            place = self._place(document, path, on_key=flaw.on_key)
            if self._is_one_too_many(place):
                continue
            self._mistakes.add(
                Mistake(
                    place,
                    flaw.message,
                    flaw.hint,
                    tuple(self._place(document, other) for other in others),
                    flaw.severity,
                    flaw.on_key,
                )
            )

    def _is_one_too_many(self, place: Place) -> bool:
        """Whether enough rows of the table have been said to be wrong in this way: the others are only counted."""
        if not place.table:
            return False
        template = msgspec.structs.replace(place, row=0)
        rows = self._wrong_rows.setdefault(template, set())
        rows.add(place.row)
        return len(rows) > _ROWS_SHOWN

    def say_how_many(self) -> None:
        """One more mistake where more rows of a table are wrong in one way than were told."""
        for template, rows in self._wrong_rows.items():
            if len(rows) > _ROWS_SHOWN:
                place = msgspec.structs.replace(template, table="")
                count = f"{len(rows) - _ROWS_SHOWN:,} more rows of {template.table} are wrong here"
                self._mistakes.error(place, count)

    def _place(self, document: Document[Any], path: type_path, *, on_key: bool = False) -> Place:
        """Where a value was written: in the table's row only if the template has a column there."""
        place = document.place(*path)
        if on_key and place.table == document.table:
            return msgspec.structs.replace(place, table="", row=0)
        if not place.table or place.table != document.table or place.row != document.row:
            return place
        value: Any = self.templates.get(document)
        for step in path:
            is_there = (
                step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
            )
            if not is_there:
                break
            value = value[step]
        return place if has_column(value) else msgspec.structs.replace(place, table="", row=0)


def _labels(metadata: Metadata) -> dict[str, str]:
    return {} if isinstance(metadata.labels, UnsetType) else metadata.labels


def _kind(name: str) -> Kind:
    kinds: dict[str, Kind] = {
        "Fleet": "Fleet",
        "Profile": "Profile",
        "Site": "Site",
        "SiteSet": "SiteSet",
        "Segmentation": "Segmentation",
        "RolloutPolicy": "RolloutPolicy",
    }
    return kinds[name]
