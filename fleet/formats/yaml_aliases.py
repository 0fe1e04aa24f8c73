"""Anchors and aliases of one YAML document, bounded: what a bomb would unfold to is counted, never unfolded."""

from typing import Any, Final

from fleet.formats import FormatError

MAX_DEPTH: Final = 100
MAX_UNFOLDED: Final = 1_000_000
_LEAF: Final = (1, 0)


class Aliases:
    """Anchors by name. An aliased list or mapping is shared, not copied, so readers must not change it."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._open: set[int] = set()
        # id of a complete list or mapping -> (nodes, levels); `_values` of the stream keeps the ids alive.
        self._sizes: dict[int, tuple[int, int]] = {}
        self._kept: list[Any] = []
        self._unfolded = 0

    def define(self, anchor: str, value: Any) -> None:
        self._values[anchor] = value

    def open(self, anchor: str, value: Any) -> None:
        self._values[anchor] = value
        self._kept.append(value)
        self._open.add(id(value))

    def close(self, value: Any) -> None:
        if self._open:
            self._open.discard(id(value))

    def forget(self) -> None:
        """Start a new document: anchors do not reach over `---`."""
        self._values.clear()

    def use(self, event: Any, depth: int) -> Any:
        """Give the value an alias stands for. Raises FormatError where it is unknown, inside itself or too much."""
        name = event.anchor
        if name not in self._values:
            raise _at(event, f"the alias *{name} has no anchor before it", f"Write &{name} at the value it stands for")
        value = self._values[name]
        if id(value) in self._open:
            raise _at(event, f"the alias *{name} stands inside its own anchor", "Write the value out")
        nodes, levels = self.measure(value)
        self._unfolded += nodes
        if self._unfolded > MAX_UNFOLDED:
            problem = f"the aliases up to here unfold to more than {MAX_UNFOLDED:,} nodes"
            raise _at(event, problem, "Use fewer or smaller aliases")
        if depth + levels > MAX_DEPTH:
            raise _at(event, f"more than {MAX_DEPTH} levels of nesting behind *{name}", "Make the document flatter")
        return value

    def measure(self, value: Any) -> tuple[int, int]:
        """Give how many nodes and levels a value unfolds to."""
        kind = value.__class__
        if kind is not dict and kind is not list:
            return _LEAF
        known = self._sizes.get(id(value))
        if known is None:
            nodes, levels = 1, 0
            for child in value.values() if kind is dict else value:
                child_nodes, child_levels = self.measure(child)
                nodes += child_nodes + (kind is dict)
                levels = max(levels, child_levels)
            known = (nodes, levels + 1)
            self._sizes[id(value)] = known
            self._kept.append(value)
        return known


def _at(event: Any, problem: str, hint: str) -> FormatError:
    mark = event.start_mark
    return FormatError(problem, hint, mark.line + 1, mark.column + 1)
