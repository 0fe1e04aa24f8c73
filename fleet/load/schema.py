"""The JSON Schema of the spec, and mistakes as users see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.errors import SpecError
from fleet.formats import FormatError
from fleet.load.kinds import AnyDocument
from fleet.load.words import path_text
from fleet.model.problem import Mistake, Place, Problem

if TYPE_CHECKING:
    from fleet.formats.yaml_marks import Positions

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """All kinds of `fleet/v1alpha1`, for editors: Draft 2020-12, made from the types that load converts to."""
    schema = msgspec.json.schema(AnyDocument)
    _ask_less_of_overlays(schema["$defs"])
    return {
        "$schema": SCHEMA_ID,
        "title": "fleet/v1alpha1",
        "description": "One document of a fleet's spec.",
        **schema,
    }


def _ask_less_of_overlays(definitions: dict[str, Any]) -> None:
    """A Site with `from` says of a node what differs from its row: only the name must be there."""
    then = {}
    for field, name in (("nodes", "NodeSpec"), ("nodeSets", "NodeSetSpec")):
        then[field] = {"items": {"required": definitions[name]["required"]}}
        definitions[name]["required"] = ["name"]
    definitions["SiteSpec"]["if"] = {"not": {"required": ["from"]}}
    definitions["SiteSpec"]["then"] = {"properties": then}


def to_problems(mistakes: Iterable[Mistake], files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """Mistakes with line and column, in the order of file, line and column. Each file is looked at once."""
    atlas = _Atlas(files)
    return tuple(sorted(dict.fromkeys(atlas.problem(mistake) for mistake in mistakes)))


class _Atlas:
    """Lines and columns of one Tree. A file that is gone or cannot be read gives 1:1."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._positions: dict[str, Positions | None] = {}

    def problem(self, mistake: Mistake) -> Problem:
        place = mistake.place
        file, line, column = self._at(place, on_key=mistake.on_key)
        others = [self._at(other, on_key=False) for other in mistake.others]
        if place.table:
            # The row is to blame or the template is: users see both.
            others.insert(0, self._at(msgspec.structs.replace(place, table="", row=0), on_key=mistake.on_key))
        return Problem(
            file=file,
            line=line,
            column=column,
            path=path_text(place.path),
            message=mistake.message,
            hint=mistake.hint,
            severity=mistake.severity,
            others=tuple(dict.fromkeys(f"{file}:{line}:{column}" for file, line, column in others)),
        )

    def _at(self, place: Place, *, on_key: bool) -> tuple[str, int, int]:
        if place.table:
            return place.table, place.row, 1
        positions = self._of(place.file)
        if positions is None:
            return place.file, 1, 1
        found = positions.locate(place.document, place.path)
        if on_key and found.is_exact and found.key_line is not None and found.key_column is not None:
            return place.file, found.key_line, found.key_column
        return place.file, found.line, found.column

    def _of(self, file: str) -> Positions | None:
        if file not in self._positions:
            from fleet.formats.yaml_marks import Positions

            try:
                self._positions[file] = Positions(self._files[file])
            except (KeyError, OSError, FormatError, SpecError):
                self._positions[file] = None
        return self._positions[file]
