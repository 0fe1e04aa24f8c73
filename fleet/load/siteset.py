"""SiteSets: rows of a table become Sites, with the nodes of another table and the overlays of Site documents."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from fleet.load.mistakes import MistakeList
from fleet.load.overlay import Overlay
from fleet.load.reading import RawDocument
from fleet.load.tables import NamedTable, TableRow, Tables
from fleet.load.template import LEFT_OUT, Compiler, Fixed, Part
from fleet.load.words import near
from fleet.model.problem import Place, type_path
from fleet.model.spec.document import Metadata
from fleet.model.spec.site import NodeSpec, SiteSpec
from fleet.model.spec.siteset import SiteSetSpec, TableNodes

TEMPLATE: type_path = ("spec", "template")
_NODE_COLUMNS = ("name", "role", "arch", "address", "cluster")
_PREFIXES = ("labels", "vars", "identity")


class RowSite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a filled template must be."""

    metadata: Metadata
    spec: SiteSpec


# Nodes and overlays are added to these after they are filled.
_STILL_OPEN = frozenset({RowSite, Metadata, SiteSpec})


class FilledSite(msgspec.Struct, frozen=True, eq=False):
    """A row's Site as plain values (with structs for what every row shares), and where its parts were written."""

    value: dict[str, Any]
    row: TableRow
    origins: dict[type_path, Place]
    overlay: RawDocument | None = None


class SiteSetFiller:
    """Fills the template of one SiteSet, row by row."""

    def __init__(self, raw: RawDocument, spec: SiteSetSpec, tables: Tables, mistakes: MistakeList) -> None:
        self._raw = raw
        self._spec = spec
        self._mistakes = mistakes
        self.table = tables.of(spec.source, raw.place("spec", "source"))
        self._nodes_table: NamedTable | None = None
        self._node: Part = Fixed(None)
        self._plain_node: Part = self._node
        if isinstance(spec.nodes, TableNodes):
            self._nodes_table = tables.of(spec.nodes, raw.place("spec", "nodes"))

    def sites(self, overlays: dict[str, RawDocument]) -> Iterator[FilledSite]:
        """A Site per row, or per value of the key; each overlay of `overlays` is taken out when it is used."""
        if self.table is None:
            return
        template = self._raw.value["spec"]["template"]
        compiler = Compiler(self.table.columns, TEMPLATE, still_open=_STILL_OPEN)
        fast = compiler.compile(template, RowSite)
        plain = Compiler(self.table.columns, TEMPLATE, is_plain=True).compile(template, RowSite)
        nodes = self._nodes(self.table)
        self._unknown(compiler)
        if compiler.flaws:
            return
        for row in self._rows(self.table, compiler.used):
            value = self._filled(fast, row, template)
            name = value.get("metadata", {}).get("name")
            overlay = overlays.pop(name, None) if isinstance(name, str) else None
            if overlay is not None:
                value = self._filled(plain, row, template)
            origins: dict[type_path, Place] = {}
            self._add_nodes(value, row, nodes, origins, is_plain=overlay is not None)
            if overlay is not None:
                value = _overlaid(value, overlay, origins)
            yield FilledSite(value, row, origins, overlay)
        self._no_site(nodes)

    def _filled(self, part: Part, row: TableRow, template: dict[str, Any]) -> dict[str, Any]:
        filled = part.fill(row.values)
        value: dict[str, Any] = {} if filled is LEFT_OUT else dict(filled)
        value.setdefault("spec", {} if isinstance(template.get("spec", {}), dict) else template["spec"])
        return value

    def _unknown(self, compiler: Compiler) -> None:
        for flaw in compiler.flaws:
            self._mistakes.error(self._raw.place(*flaw.path), flaw.message, flaw.hint)

    def _rows(self, table: NamedTable, used: set[str]) -> Iterator[TableRow]:
        """The rows that are sites: the first one of each value of the key."""
        key = self._spec.source.key
        if isinstance(key, UnsetType):
            yield from table.rows
            return
        if key not in table.columns:
            place = self._raw.place("spec", "source", "key")
            self._mistakes.error(place, f"the table has no column `{key}`", near(key, table.columns))
            return
        first: dict[str, TableRow] = {}
        for row in table.rows:
            known = first.setdefault(row.values[key], row)
            for column in sorted(used) if known is not row else ():
                if known.values[column] != row.values[column]:
                    self._row_error(
                        table.file,
                        row,
                        f"`{column}` is `{row.values[column]}` here and `{known.values[column]}` in line {known.line}, "
                        f"and both rows are the site `{row.values[key]}`",
                    )
        yield from (row for value, row in first.items() if value)

    def _row_error(self, file: str, row: TableRow, message: str, hint: str = "") -> None:
        place = Place(self._raw.file, self._raw.index, ("spec", "source"), file, row.line)
        self._mistakes.error(place, message, hint)

    def _nodes(self, sites: NamedTable) -> dict[str, list[TableRow]]:
        """Rows of the nodes' table by the value of the key; their template is compiled on the way."""
        spec, table = self._spec.nodes, self._nodes_table
        if isinstance(spec, UnsetType) or table is None:
            return {}
        if spec.key not in table.columns:
            place = self._raw.place("spec", "nodes", "key")
            self._mistakes.error(place, f"the table has no column `{spec.key}`", near(spec.key, table.columns))
            return {}
        template = _columns_template(table) if isinstance(spec.template, UnsetType) else spec.template
        compiler = Compiler({*table.columns, *sites.columns}, ("spec", "nodes", "template"))
        self._node = compiler.compile(template, NodeSpec)
        self._unknown(compiler)
        self._plain_node = Compiler({*table.columns, *sites.columns}, (), is_plain=True).compile(template, NodeSpec)
        rows: dict[str, list[TableRow]] = {}
        for row in table.rows if not compiler.flaws else ():
            rows.setdefault(row.values[spec.key], []).append(row)
        return rows

    def _add_nodes(
        self,
        value: dict[str, Any],
        row: TableRow,
        nodes: dict[str, list[TableRow]],
        origins: dict[type_path, Place],
        *,
        is_plain: bool,
    ) -> None:
        """Appends the nodes of the site; its rows leave `nodes`."""
        if not nodes or isinstance(self._spec.nodes, UnsetType) or self._nodes_table is None:
            return
        name = value.get("metadata", {}).get("name")
        mine = nodes.pop(row.values.get(self._spec.nodes.key, str(name)), [])
        spec = value["spec"]
        if not mine or not isinstance(spec, dict):
            return
        listed = spec.get("nodes", [])
        if not isinstance(listed, list):
            return
        listed = list(listed)
        steps = ("spec", "nodes") if isinstance(self._spec.nodes.template, UnsetType) else ("spec", "nodes", "template")
        part = self._plain_node if is_plain else self._node
        for node_row in mine:
            filled = part.fill(ChainMap(dict(node_row.values), dict(row.values)))
            origin = Place(self._raw.file, self._raw.index, steps, self._nodes_table.file, node_row.line)
            origins["spec", "nodes", len(listed)] = origin
            listed.append({} if filled is LEFT_OUT else filled)
        value["spec"] = {**spec, "nodes": listed}

    def _no_site(self, nodes: dict[str, list[TableRow]]) -> None:
        for value, rows in nodes.items():
            for row in rows:
                if self._nodes_table is not None and isinstance(self._spec.nodes, TableNodes):
                    place = Place(self._raw.file, self._raw.index, ("spec", "nodes"), self._nodes_table.file, row.line)
                    self._mistakes.error(place, f"no site has `{value}` as its `{self._spec.nodes.key}`")


def _columns_template(table: NamedTable) -> dict[str, Any]:
    """Where the columns are the node's fields: `name`, `role`, `address`, … and `labels.KEY`, `vars.KEY`."""
    template: dict[str, Any] = {column: f"{{{column}}}" for column in _NODE_COLUMNS if column in table.columns}
    for column in table.columns:
        prefix, dot, key = column.partition(".")
        if dot and key and prefix in _PREFIXES:
            template.setdefault(prefix, {})[key] = f"{{{column}}}"
    return template


def _overlaid(value: dict[str, Any], overlay: RawDocument, origins: dict[type_path, Place]) -> dict[str, Any]:
    merge = Overlay(overlay.place())
    merge.origins = origins
    over: Mapping[str, Any] = {key: overlay.value[key] for key in ("metadata", "spec") if key in overlay.value}
    merged: dict[str, Any] = merge.merged(value, dict(over), (), ())
    return merged
