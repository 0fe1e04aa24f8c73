"""Tables that SiteSets read: CSV files and Ansible inventories, as rows of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fleet.formats import FormatError
from fleet.formats.csv import TableError, read_table
from fleet.formats.inventory import Inventory, read_inventory
from fleet.load.checks.layer import near_file
from fleet.load.checks.texts import path_fault
from fleet.load.mistakes import MistakeList
from fleet.load.reading import Reader
from fleet.model.problem import Place
from fleet.model.spec.siteset import TableNodes, TableSource


class TableRow(msgspec.Struct, frozen=True):
    """`line` counts from 1 in the table's file."""

    line: int
    values: Mapping[str, str]


class NamedTable(msgspec.Struct, frozen=True):
    file: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


class Tables:
    """Reads each table once. A table that cannot be read is None, and a mistake says why."""

    def __init__(self, files: Mapping[str, bytes], reader: Reader, mistakes: MistakeList) -> None:
        self._files = files
        self._reader = reader
        self._mistakes = mistakes
        self._known: dict[tuple[str, str], NamedTable | None] = {}

    def of(self, source: TableSource | TableNodes, place: Place) -> NamedTable | None:
        """The table that `source`, written at `place`, names."""
        given = [field for field in ("csv", "ansible") if isinstance(getattr(source, field), str)]
        if len(given) != 1:
            found = "both" if given else "none"
            self._mistakes.error(place, f"expected one of csv and ansible, found {found}")
            return None
        field, file = given[0], str(getattr(source, given[0]))
        fault, hint = path_fault(file)
        if not fault and file not in self._files:
            fault, hint = f"no file `{file}` in the repository", near_file(file, self._files)
        if fault:
            self._mistakes.error(place.at(field), fault, hint)
            return None
        if (field, file) not in self._known:
            self._known[field, file] = self._read(field, file)
        return self._known[field, file]

    def _read(self, field: str, file: str) -> NamedTable | None:
        data = self._reader.read(file)
        if data is None:
            return None
        return self._csv(file, data) if field == "csv" else self._ansible(file, data)

    def _csv(self, file: str, data: bytes) -> NamedTable | None:
        try:
            table = read_table(data)
        except TableError as error:
            for each in error.errors:
                self._mistakes.malformed(file, each)
            return None
        return NamedTable(file, table.columns, tuple(TableRow(row.line, row.values) for row in table.rows))

    def _ansible(self, file: str, data: bytes) -> NamedTable | None:
        try:
            inventory = read_inventory(data, file)
        except FormatError as error:
            self._mistakes.malformed(file, error)
            return None
        groups = _first_groups(inventory)
        hosts = {
            name: {"inventory_hostname": name, "group": groups.get(name, ""), **_cells(variables)}
            for name, variables in inventory.effective_vars().items()
        }
        columns = tuple(dict.fromkeys(column for cells in hosts.values() for column in cells))
        # A variable that other hosts have is an empty cell here.
        empty = dict.fromkeys(columns, "")
        rows = tuple(TableRow(inventory.lines[name], {**empty, **cells}) for name, cells in hosts.items())
        return NamedTable(file, columns, rows)


def _first_groups(inventory: Inventory) -> dict[str, str]:
    """The group that a host stands in itself, the first one in the order of the inventory."""
    first: dict[str, str] = {}
    for name, group in inventory.groups.items():
        for host in group.hosts if name not in {"all", "ungrouped"} else ():
            first.setdefault(host, name)
    return first


def _cells(variables: Mapping[str, Any]) -> dict[str, str]:
    """The variables that are texts, numbers or booleans; lists and maps are no cells."""
    cells = {}
    for name, value in variables.items():
        if isinstance(value, bool):
            cells[name] = str(value).lower()
        elif isinstance(value, str | int | float):
            cells[name] = str(value)
    return cells
