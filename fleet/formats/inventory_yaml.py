"""Ansible inventories and files of variables in YAML, read by YAML 1.1 as Ansible does (there `yes` is true), with
places.

Source: ansible-core, ansible.plugins.inventory.yaml. What Ansible only warns of (a key that stands twice, a part that
a group has not) is a mistake here, too; who collects mistakes may go on as Ansible does.
"""

from typing import Any, Final

from yaml import CSafeLoader, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode

from fleet.formats import FormatError
from fleet.formats.inventory_draft import Draft, PassedOverError, Place
from fleet.formats.inventory_values import NULL, ValueReader, at, place_of
from fleet.formats.yaml_syntax import syntax_error

_SECTIONS: Final = ("vars", "children", "hosts")


def read_yaml(text: bytes, draft: Draft) -> None:
    """Read a YAML inventory into a draft, which hears of every mistake."""
    loader = CSafeLoader(text)
    try:
        _YamlReader(loader, draft).read(loader.get_single_node())
    except YAMLError as error:
        draft.tell(syntax_error(error, text))
    except FormatError as error:
        draft.tell(error)
    finally:
        loader.dispose()


class _YamlReader:
    def __init__(self, loader: CSafeLoader, draft: Draft) -> None:
        self._draft = draft
        self._values = ValueReader(loader, draft.tell)

    def read(self, root: Node | None) -> None:
        if not isinstance(root, MappingNode):
            raise at(root, "an inventory is a mapping of groups", "Write `all: {hosts: …}`")
        self._values.check_size(root)
        items = self._values.items(root)
        if "plugin" in items:
            problem = "this configures an inventory plugin, and is not an inventory"
            raise at(items["plugin"][0], problem, "Give the output of `ansible-inventory --list --yaml`")
        for name, (key, node) in items.items():
            self._group(name, key, node)

    def _group(self, name: str, key: Node, node: Node | None) -> None:
        self._draft.add_group(name, *place_of(key))
        if node is None or node.tag == NULL:
            return
        if not isinstance(node, MappingNode):
            problem = f"the group `{name}` is not a mapping"
            self._draft.tell(at(node, problem, "Write hosts, children and vars below it", PassedOverError))
            return
        for section, (section_key, content) in self._values.items(node).items():
            if section not in _SECTIONS:
                problem = f"`{section}` is not a part of a group"
                hint = "A group has hosts, children and vars; put variables below vars"
                self._draft.tell(at(section_key, problem, hint, PassedOverError))
            elif content.tag != NULL:
                self._section(name, section, content)

    def _section(self, group: str, section: str, node: Node) -> None:
        try:
            if section == "vars":
                values, places = self._values.variables(self._mapping(group, section, node))
                self._draft.set_group_vars(group, values, places)
                return
            entries = self._entries(group, section, node)
        except FormatError as error:
            self._draft.tell(error)
            return
        for name, (key, content) in entries.items():
            try:
                if section == "hosts":
                    values, places = self._host_vars(name, content)
                    self._draft.add_hosts(name, group, values, places, place_of(key))
                else:
                    self._group(name, key, content)
                    self._draft.add_child(group, name, *place_of(key))
            except FormatError as error:
                self._draft.tell(error)

    def _entries(self, group: str, section: str, node: Node) -> dict[str, tuple[Node, Node | None]]:
        if isinstance(node, ScalarNode):  # Ansible takes one name for a mapping of one
            return {str(self._values.value(node)): (node, None)}
        return {**self._values.items(self._mapping(group, section, node))}

    def _mapping(self, group: str, section: str, node: Node) -> MappingNode:
        if not isinstance(node, MappingNode):
            raise at(node, f"`{section}` of the group `{group}` is not a mapping", f"Write `{section}: {{name: …}}`")
        return node

    def _host_vars(self, host: str, node: Node | None) -> tuple[dict[str, Any], dict[str, Place]]:
        if node is None or node.tag == NULL:
            return {}, {}
        if not isinstance(node, MappingNode):
            raise at(node, f"the variables of `{host}` are not a mapping", "Write `name: value` below the host")
        return self._values.variables(node)
