"""Ansible inventories: YAML and INI in, the JSON of an inventory script out. Does not import ansible."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fleet.formats import FormatError
from fleet.formats.inventory_draft import Draft, PassedOverError, Place, Tell
from fleet.formats.inventory_graph import ALL, UNGROUPED, Group, Inventory, Mark, Marks, Unsafe, Vaulted
from fleet.formats.utf8 import BOM, check_encoding

__all__ = [
    "Draft",
    "Group",
    "Inventory",
    "Mark",
    "Marks",
    "PassedOverError",
    "Unsafe",
    "Vaulted",
    "list_json",
    "read_into",
    "read_inventory",
    "read_variables",
]

_YAML_ENDINGS: Final = (".yaml", ".yml", ".json")


def read_inventory(text: bytes, file_name: str) -> Inventory:
    """Read an inventory: YAML where the file's name says so, else INI. Variables from group_vars are not looked for.

    Raises FormatError for the first mistake.
    """
    draft = Draft()
    _read(text, draft, is_yaml=file_name.lower().endswith(_YAML_ENDINGS))
    return draft.finish()


def read_into(draft: Draft, text: bytes, file_name: str) -> None:
    """Read one of the files that make an inventory, as Ansible tries them: a name without an ending may be either.

    The draft hears of every mistake.
    """
    draft.file = file_name
    base = file_name.rpartition("/")[2]
    is_either = "." not in base.lstrip(".")
    try:
        _read(text, draft, is_yaml=base.lower().endswith(_YAML_ENDINGS) or (is_either and _looks_like_yaml(text)))
    except FormatError as error:
        draft.tell(error)


def read_variables(text: bytes, tell: Tell) -> tuple[dict[str, Any], dict[str, Place]]:
    """Read a file of group_vars or host_vars: variables, and the place (line, column) of each.

    `tell` gets every mistake; where it comes back, nothing is given of a file that cannot be read.
    """
    from fleet.formats.inventory_vars import read_vars

    try:
        check_encoding(text)
        return read_vars(_without_tabs(text), tell)
    except FormatError as error:
        tell(error)
        return {}, {}


def _read(text: bytes, draft: Draft, *, is_yaml: bool) -> None:
    check_encoding(text)
    if is_yaml:
        from fleet.formats.inventory_yaml import read_yaml

        read_yaml(_without_tabs(text), draft)
    else:
        from fleet.formats.inventory_ini import read_ini

        if b"\0" in text:
            raise FormatError("this is no text: it holds a zero byte", "Name an inventory in INI or YAML", 1, 1)
        read_ini(text.removeprefix(BOM).decode(), draft)


def _looks_like_yaml(text: bytes) -> bool:
    """Whether YAML gives a mapping: hardly an INI text does, and then Ansible, too, takes it for YAML."""
    from yaml import CSafeLoader, YAMLError
    from yaml.nodes import MappingNode

    loader = CSafeLoader(text)
    try:
        return isinstance(loader.get_single_node(), MappingNode)
    except YAMLError:
        return False
    finally:
        loader.dispose()


def _without_tabs(text: bytes) -> bytes:
    """JSON may be indented by tabs, which YAML refuses; within its strings there can be none."""
    if b"\t" not in text or not text.lstrip().startswith(b"{"):
        return text
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text.replace(b"\t", b" ")


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
    return msgspec.json.encode(listed, enc_hook=_text)


def _entry(group: Group) -> dict[str, Any]:
    parts = {"hosts": group.hosts, "children": group.children, "vars": group.vars}
    return {name: part for name, part in parts.items() if part}


def _text(value: Any) -> str:
    """Vaulted and Unsafe are texts; anything else that JSON lacks is a mistake of the caller."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"JSON cannot hold a {type(value).__name__} here")
