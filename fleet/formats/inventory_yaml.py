"""Ansible inventories in YAML, read by YAML 1.1 as Ansible does (there `yes` is true), with places.

Source: ansible-core, ansible.plugins.inventory.yaml. Kept stricter: a key may not stand twice in one mapping.
"""

from typing import Any, Final

from yaml import CSafeLoader, YAMLError
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fleet.formats import FormatError
from fleet.formats.inventory_graph import Draft, Inventory
from fleet.formats.yaml_aliases import MAX_UNFOLDED, Aliases
from fleet.formats.yaml_syntax import syntax_error

# Encrypted and unsafe values stay the text they are; a date too, since JSON has no dates.
_TEXT_TAGS: Final = {"!vault", "!vault-encrypted", "!unsafe", "tag:yaml.org,2002:timestamp"}
_NULL: Final = "tag:yaml.org,2002:null"
_SECTIONS: Final = ("vars", "children", "hosts")


def read_yaml(text: bytes) -> Inventory:
    """Read a YAML inventory. Raises FormatError for the first mistake."""
    loader = CSafeLoader(text)
    try:
        return _YamlReader(loader).read(loader.get_single_node())
    except YAMLError as error:
        raise syntax_error(error, text) from None
    finally:
        loader.dispose()


class _YamlReader:
    def __init__(self, loader: CSafeLoader) -> None:
        self._loader = loader
        self._draft = Draft()
        self._values: dict[int, Any] = {}
        self._open: set[int] = set()

    def read(self, root: Node | None) -> Inventory:
        if not isinstance(root, MappingNode):
            raise _at(root, "an inventory is a mapping of groups", "Write `all: {hosts: …}`")
        if Aliases().measure(self._value(root))[0] > MAX_UNFOLDED:
            raise _at(root, f"the aliases unfold to more than {MAX_UNFOLDED:,} nodes", "Use fewer or smaller aliases")
        items = self._items(root)
        if "plugin" in items:
            problem = "this configures an inventory plugin, and is not an inventory"
            raise _at(items["plugin"][0], problem, "Give the output of `ansible-inventory --list --yaml`")
        for name, (_, node) in items.items():
            self._group(name, node)
        return self._draft.finish()

    def _group(self, name: str, node: Node | None) -> None:
        self._draft.add_group(name)
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, MappingNode):
            raise _at(node, f"the group `{name}` is not a mapping", "Write hosts, children and vars below it")
        for section, (section_key, content) in self._items(node).items():
            if section not in _SECTIONS:
                problem = f"`{section}` is not a part of a group"
                raise _at(section_key, problem, "A group has hosts, children and vars; put variables below vars")
            if content.tag != _NULL:
                self._section(name, section, content)

    def _section(self, group: str, section: str, node: Node) -> None:
        entries: dict[str, tuple[Node, Node | None]]
        if isinstance(node, ScalarNode) and section != "vars":  # Ansible takes one name for a mapping of one
            entries = {str(self._value(node)): (node, None)}
        elif isinstance(node, MappingNode):
            entries = {**self._items(node)}
        else:
            raise _at(node, f"`{section}` of the group `{group}` is not a mapping", f"Write `{section}: {{name: …}}`")
        if section == "vars":
            self._draft.set_group_vars(group, self._value(node))
            return
        for name, (key, content) in entries.items():
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if section == "hosts":
                self._draft.add_hosts(name, group, self._host_vars(name, content), line, column)
            else:
                self._group(name, content)
                self._draft.add_child(group, name, line, column)

    def _host_vars(self, host: str, node: Node | None) -> dict[str, Any]:
        values = {} if node is None else self._value(node) or {}
        if not isinstance(values, dict):
            raise _at(node, f"the variables of `{host}` are not a mapping", "Write `name: value` below the host")
        return values

    def _items(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Give key and value by the key's name, with what `<<` brings. Raises FormatError for keys that come twice."""
        merged: dict[str, tuple[Node, Node]] = {}
        written: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for source in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                    if not isinstance(source, MappingNode):
                        raise _at(key, "`<<` takes a mapping or a list of mappings", "Write `<<: *anchor`")
                    merged.update(self._items(source))
                continue
            name = self._value(key)
            if name.__class__ is int:
                name = str(name)  # as it would come out in JSON
            if not isinstance(name, str):
                raise _at(key, "a name must be text", "Put it in quotes")
            if name in written:
                raise _at(key, f"the key `{name}` stands here twice", "Keep one of the two")
            written[name] = (key, value)
        return {**merged, **written}

    def _value(self, node: Node) -> Any:
        known = self._values.get(id(node), self)
        if known is not self:
            return known
        if id(node) in self._open or len(self._open) > 100:
            raise _at(node, "an alias inside its own anchor, or more than 100 levels of nesting", "Write the value out")
        self._open.add(id(node))
        value: Any
        if isinstance(node, MappingNode):
            value = {name: self._value(content) for name, (_, content) in self._items(node).items()}
        elif isinstance(node, SequenceNode):
            value = [self._value(entry) for entry in node.value]
        elif node.tag in _TEXT_TAGS:
            value = node.value
        else:
            value = self._scalar(node)
        self._open.discard(id(node))
        self._values[id(node)] = value
        return value

    def _scalar(self, node: Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ConstructorError, ValueError):
            raise _at(node, f"the value `{node.value[:60]}` cannot be read as {node.tag}", "Put it in quotes") from None


def _at(node: Node | None, problem: str, hint: str) -> FormatError:
    if node is None:
        return FormatError(problem, hint, 1, 1)
    return FormatError(problem, hint, node.start_mark.line + 1, node.start_mark.column + 1)
