"""Ansible inventories: YAML and INI in, the JSON of an inventory script out. Does not import ansible."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fleet.formats.inventory_graph import ALL, UNGROUPED, Group, Inventory
from fleet.formats.utf8 import BOM, check_encoding

__all__ = ["Group", "Inventory", "list_json", "read_inventory"]

_YAML_ENDINGS: Final = (".yaml", ".yml", ".json")


def read_inventory(text: bytes, file_name: str) -> Inventory:
    """Read an inventory: YAML where the file's name says so, else INI. Variables from group_vars are not looked for.

    Raises FormatError for the first mistake.
    """
    check_encoding(text)
    if file_name.lower().endswith(_YAML_ENDINGS):
        from fleet.formats.inventory_yaml import read_yaml

        return read_yaml(text)
    from fleet.formats.inventory_ini import read_ini

    return read_ini(text.removeprefix(BOM).decode())


def list_json(hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Group]) -> bytes:
    """Write what an inventory script prints for `--list`, with `_meta`, so that Ansible asks for no host by itself.

    Order is that of the arguments; empty parts are left out. Groups that are nobody's child stand below `all`.
    Source: Ansible developer guide, "Developing dynamic inventory", script conventions.
    """
    children = {child for group in groups.values() for child in group.children}
    tops = [name for name in groups if name not in children and name not in {ALL, UNGROUPED}]
    given = groups.get(ALL, Group())
    first = [UNGROUPED, *(child for child in given.children if child != UNGROUPED), *tops]
    listed: dict[str, Any] = {
        "_meta": {"hostvars": {name: values for name, values in hosts.items() if values}},
        ALL: _entry(Group(given.hosts, tuple(first), given.vars)),
    }
    for name, group in groups.items():
        entry = _entry(group)
        if entry and name != ALL:
            listed[name] = entry
    return msgspec.json.encode(listed)


def _entry(group: Group) -> dict[str, Any]:
    parts = {"hosts": group.hosts, "children": group.children, "vars": group.vars}
    return {name: part for name, part in parts.items() if part}
