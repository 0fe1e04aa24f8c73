"""Ansible inventories in INI style. Source: ansible-core, ansible.plugins.inventory.ini."""

import ast
import re
import shlex
import warnings
from typing import Any, Final

from fleet.formats import FormatError
from fleet.formats.inventory_draft import Draft, Place
from fleet.formats.inventory_graph import UNGROUPED

_SECTION: Final = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME: Final = re.compile(r"([^\s:\]]+)\s*(?:#.*)?")
# What Python could read as a literal; everything else is text without asking.
_MAYBE_LITERAL: Final = re.compile(r"""[\s\d+\-.'"(\[{]|[bBrRuU]+['"]|True|False|None""")
_KINDS: Final = ("hosts", "children", "vars")


def read_ini(text: str, draft: Draft) -> None:
    """Read an INI inventory into a draft, which hears of every mistake."""
    _IniReader(draft).read(text)


class _IniReader:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._group = UNGROUPED
        self._kind = "hosts"
        self._declared: set[str] = set(draft.groups)
        # Groups named before their own section: name -> line of the first mention, and what mentions it.
        self._awaited: dict[str, tuple[int, str]] = {}
        self._children: list[tuple[str, str, int]] = []

    def read(self, text: str) -> None:
        for line, raw in enumerate(text.splitlines(), 1):
            content = raw.strip()
            if content and content[0] not in "#;":
                try:
                    self._take(content, line, len(raw) - len(raw.lstrip()) + 1)
                except FormatError as error:
                    self._draft.tell(error)
        for name, (line, problem) in self._awaited.items():
            if name not in self._declared:
                self._draft.tell(FormatError(problem, f"Add a section [{name}]", line, 1))
        for parent, child, line in self._children:
            try:
                self._draft.add_child(parent, child, line, 1)
            except FormatError as error:
                self._draft.tell(error)

    def _take(self, content: str, line: int, column: int) -> None:
        section = _SECTION.fullmatch(content)
        if section is not None:
            self._open(section[1], section[2] or "hosts", line, column)
        elif content.startswith("[") and content.endswith("]"):
            raise FormatError(
                f"`{content}` is not a section", "Write [group], [group:children] or [group:vars]", line, column
            )
        elif self._kind == "hosts":
            self._host(content, line, column)
        elif self._kind == "vars":
            name, value = _assignment(content, line, column)
            name = name.strip()
            self._draft.set_group_vars(self._group, {name: _value(value.strip())}, {name: (line, column)})
        else:
            self._child(content, line, column)

    def _open(self, name: str, kind: str, line: int, column: int) -> None:
        if kind not in _KINDS:
            raise FormatError(f"a section of kind `{kind}`", "The kinds are :children and :vars", line, column)
        self._group, self._kind = name, kind
        self._draft.add_group(name, line, column)
        if kind == "vars":
            self._awaited.setdefault(name, (line, f"[{name}:vars] is about a group that has no section"))
        else:
            self._declared.add(name)

    def _host(self, content: str, line: int, column: int) -> None:
        try:
            pattern, *words = shlex.split(content, comments=True)
        except ValueError as error:
            raise FormatError(f"{error} in this line", "Close the quote", line, column) from None
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        behind = len(pattern)
        for word in words:
            name, value = _assignment(word, line, column)
            values[name] = _value(value)
            # Quotes may hide the name; then the line is place enough.
            found = content.find(f"{name}=", behind)
            places[name] = (line, column + max(found, 0))
            behind = max(found, behind)
        self._draft.add_hosts(pattern, self._group, values, places, (line, column))

    def _child(self, content: str, line: int, column: int) -> None:
        found = _GROUP_NAME.fullmatch(content)
        if found is None:
            raise FormatError(f"`{content}` is not a group's name", "Write one name a line", line, column)
        self._draft.add_group(found[1], line, column)
        self._children.append((self._group, found[1], line))
        self._awaited.setdefault(found[1], (line, f"[{self._group}:children] names `{found[1]}`, which has no section"))


def _assignment(text: str, line: int, column: int) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise FormatError(f"`{text}` is not name=value", "Write name=value, with quotes round spaces", line, column)
    return name, value


def _value(text: str) -> Any:
    """Read a value as Ansible does: as a Python literal where it is one, else as text."""
    if not _MAYBE_LITERAL.match(text):
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
