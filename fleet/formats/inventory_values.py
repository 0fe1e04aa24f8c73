"""Values of Ansible's YAML files, by YAML 1.1, with places. Encrypted and unsafe texts keep what they are."""

from collections.abc import Callable
from typing import Any, Final

from yaml import CSafeLoader
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.formats import FormatError
from fleet.formats.inventory_draft import PassedOverError, Place
from fleet.formats.inventory_graph import Unsafe, Vaulted
from fleet.formats.yaml_aliases import MAX_UNFOLDED, Aliases

NULL: Final = "tag:yaml.org,2002:null"
# A date stays the text it is, since JSON has no dates.
_TEXTS: Final[dict[str, type[str]]] = {
    "!vault": Vaulted,
    "!vault-encrypted": Vaulted,
    "!unsafe": Unsafe,
    "tag:yaml.org,2002:timestamp": str,
}
# How Ansible's JSON writes a vault and an unsafe text: a mapping of this one key.
_JSON_TEXTS: Final[dict[str, type[str]]] = {"__ansible_vault": Vaulted, "__ansible_unsafe": Unsafe}

Items = dict[str, tuple[Node, Node]]
Tell = Callable[[FormatError], None]


def at(node: Node | None, problem: str, hint: str, kind: type[FormatError] = FormatError) -> FormatError:
    """The mistake at the place where a node begins."""
    return kind(problem, hint, *place_of(node)) if node is not None else kind(problem, hint, 1, 1)


def place_of(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


class ValueReader:
    """Gives nodes of one document as plain values, each once: what stands under aliases is shared."""

    def __init__(self, loader: CSafeLoader, tell: Tell) -> None:
        self._loader = loader
        self._tell = tell
        self._values: dict[int, Any] = {}
        self._items: dict[int, Items] = {}
        self._open: set[int] = set()

    def check_size(self, root: Node) -> None:
        """Raises FormatError where aliases would unfold to more than anybody can hold."""
        if Aliases().measure(self.value(root))[0] > MAX_UNFOLDED:
            raise at(root, f"the aliases unfold to more than {MAX_UNFOLDED:,} nodes", "Use fewer or smaller aliases")

    def variables(self, node: MappingNode) -> tuple[dict[str, Any], dict[str, Place]]:
        """Give names with values, and names with the places of their keys."""
        items = self.items(node)
        return (
            {name: self.value(content) for name, (_, content) in items.items()},
            {name: place_of(key) for name, (key, _) in items.items()},
        )

    def items(self, node: MappingNode) -> Items:
        """Give key and value by the key's name, with what `<<` brings. Tells of keys that come twice: the last holds."""
        known = self._items.get(id(node))
        if known is None:
            known = self._items[id(node)] = self._read_items(node)
        return known

    def _read_items(self, node: MappingNode) -> Items:
        merged: Items = {}
        written: Items = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for source in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                    if not isinstance(source, MappingNode):
                        raise at(key, "`<<` takes a mapping or a list of mappings", "Write `<<: *anchor`")
                    merged.update(self.items(source))
                continue
            name = self.value(key)
            if name.__class__ is int:
                name = str(name)  # as it would come out in JSON
            if not isinstance(name, str):
                raise at(key, "a name must be text", "Put it in quotes")
            if name in written:
                self._tell(at(key, f"the key `{name}` stands here twice", "Keep one of the two", PassedOverError))
            written[name] = (key, value)
        return {**merged, **written}

    def value(self, node: Node) -> Any:
        known = self._values.get(id(node), self)
        if known is not self:
            return known
        if id(node) in self._open or len(self._open) > 100:
            raise at(node, "an alias inside its own anchor, or more than 100 levels of nesting", "Write the value out")
        self._open.add(id(node))
        try:
            value = self._values[id(node)] = self._read(node)
        finally:
            self._open.discard(id(node))
        return value

    def _read(self, node: Node) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(entry) for entry in node.value]
        return _TEXTS[node.tag](node.value) if node.tag in _TEXTS else self._scalar(node)

    def _mapping(self, node: MappingNode) -> Any:
        value = {name: self.value(content) for name, (_, content) in self.items(node).items()}
        if len(value) == 1:
            ((name, text),) = value.items()
            if name in _JSON_TEXTS and isinstance(text, str):
                return _JSON_TEXTS[name](text)
        return value

    def _scalar(self, node: Node) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (ConstructorError, ValueError):
            text = str(node.value)[:60]
            raise at(node, f"the value `{text}` cannot be read as {node.tag}", "Put it in quotes") from None
        if isinstance(value, bytes):
            raise at(node, "a value may not be binary", "Keep it in a file, and name the file")
        return value
