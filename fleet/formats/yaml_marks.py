"""Where in a YAML text a value stands: the slow, thorough way, for errors and for `--origin`, never for good specs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from yaml import YAMLError
from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.formats.utf8 import check_encoding

PathPart = str | int


class Position(msgspec.Struct, frozen=True):
    """A place in a text, from 1. Entries of a list and whole documents have no key. `is_exact` is False where the
    path does not exist, and the place is that of the nearest part that does.
    """

    line: int
    column: int
    key_line: int | None = None
    key_column: int | None = None
    is_exact: bool = True


class Positions:
    """Looks up places in one text, of which the nodes are kept. What stands behind a syntax error is not found."""

    def __init__(self, text: bytes) -> None:
        self._documents = _compose(text)
        self._keys: dict[int, dict[str, tuple[Node, Node]]] = {}

    def locate(self, document: int, path: Sequence[PathPart]) -> Position:
        """Give the place of the value at `path` (keys and list indexes, both from 0) of a document (from 0)."""
        if not 0 <= document < len(self._documents):
            return Position(1, 1, is_exact=False)
        key: Node | None = None
        node = self._documents[document]
        for part in path:
            found = self._child(node, part)
            if found is None:
                return _position(key, node, is_exact=False)
            key, node = found
        return _position(key, node, is_exact=True)

    def _child(self, node: Node, part: PathPart) -> tuple[Node | None, Node] | None:
        if isinstance(node, SequenceNode):
            is_entry = isinstance(part, int) and 0 <= part < len(node.value)
            return (None, node.value[part]) if is_entry else None
        if isinstance(node, MappingNode) and isinstance(part, str):
            return self._items(node).get(part)
        return None

    def _items(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Give key and value of every key of a mapping, those behind `<<` included."""
        known = self._keys.get(id(node))
        if known is None:
            known = self._keys[id(node)] = {}
            for key, value in node.value:
                if key.value == "<<" and not key.style:
                    for source in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                        if isinstance(source, MappingNode):
                            known.update(self._items(source))
            known.update({key.value: (key, value) for key, value in node.value if isinstance(key.value, str)})
        return known


def locate(text: bytes, document: int, path: Sequence[PathPart]) -> Position:
    """Look up one place; for more than one in a text, keep a `Positions`."""
    return Positions(text).locate(document, path)


def _position(key: Node | None, node: Node, *, is_exact: bool) -> Position:
    mark = node.start_mark
    if key is None:
        return Position(mark.line + 1, mark.column + 1, is_exact=is_exact)
    return Position(mark.line + 1, mark.column + 1, key.start_mark.line + 1, key.start_mark.column + 1, is_exact)


def _compose(text: bytes) -> list[Any]:
    from yaml import CSafeLoader

    documents: list[Any] = []
    check_encoding(text)
    loader = CSafeLoader(text)
    try:
        while loader.check_node():
            documents.append(loader.get_node())
    except YAMLError:
        # The reader has told of it; what stands before it can still be pointed at.
        return documents
    finally:
        loader.dispose()
    return documents
