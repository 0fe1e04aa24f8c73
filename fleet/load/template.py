"""Templates of a SiteSet: `{column}` in a string is the row's value. Filled once per row, so compiled first.

What holds no `{column}` is one object in every row (resolve remembers by identity): a struct where the type asks for
one. A value stays a string, except where a string that is nothing but `{column}` stands for a number or a boolean.
An empty cell leaves its field out; so goes a thing in a list whose name or path is left out, and a map or list of
which nothing is left.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from fleet.load.flaw import Flaw
from fleet.load.words import near
from fleet.model.problem import type_path

LEFT_OUT = object()
# Not in `{{ jinja }}`, `${shell}`, `{% … %}`; braces around anything but a word are text.
_COLUMN = re.compile(r"(?<![{$])\{([^\W\d][\w.-]*(?: [\w.-]+)*)\}(?!\})")
# Fields with braces of their own.
_RESERVED = {"namePattern": frozenset({"site", "set", "index"}), "validate": frozenset({"file"})}
_KNOWN_BY = ("name", "path")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?\Z")


class Fixed(msgspec.Struct, frozen=True):
    """The same for every row."""

    value: Any

    def fill(self, row: Mapping[str, str]) -> Any:  # noqa: ARG002 -- as the others
        return self.value


class Cell(msgspec.Struct, frozen=True):
    """A string that is nothing but `{column}`; `kinds` are the scalars that its place takes."""

    column: str
    kinds: frozenset[str]

    def fill(self, row: Mapping[str, str]) -> Any:
        text = row[self.column]
        if not text:
            return LEFT_OUT
        if not self.kinds or "string" in self.kinds:
            return text
        if "integer" in self.kinds and _INTEGER.match(text):
            return int(text)
        if "number" in self.kinds and _NUMBER.match(text):
            return float(text)
        if "boolean" in self.kinds and text in {"true", "false"}:
            return text == "true"
        return text


class Text(msgspec.Struct, frozen=True):
    """A string with columns in it: texts and columns take turns."""

    parts: tuple[str, ...]

    def fill(self, row: Mapping[str, str]) -> Any:
        made = []
        for at, part in enumerate(self.parts):
            piece = row[part] if at % 2 else part
            if at % 2 and not piece:
                return LEFT_OUT
            made.append(piece)
        return "".join(made)


class Map(msgspec.Struct, frozen=True):
    fields: tuple[tuple[str, Part], ...]

    def fill(self, row: Mapping[str, str]) -> Any:
        made = {key: value for key, part in self.fields if (value := part.fill(row)) is not LEFT_OUT}
        return made or LEFT_OUT


class Items(msgspec.Struct, frozen=True):
    parts: tuple[Part, ...]

    def fill(self, row: Mapping[str, str]) -> Any:
        made = [
            value for part in self.parts if (value := part.fill(row)) is not LEFT_OUT and not _is_nameless(part, value)
        ]
        return made or LEFT_OUT


Part = Fixed | Cell | Text | Map | Items


def _is_nameless(part: Part, value: Any) -> bool:
    return isinstance(part, Map) and any(key in _KNOWN_BY and key not in value for key, _ in part.fields)


class Compiler:
    """Turns plain values into Parts; a plain one makes no structs, others none of `still_open`. `flaws` names each column that the table lacks."""

    def __init__(
        self,
        columns: Iterable[str],
        prefix: type_path,
        *,
        is_plain: bool = False,
        still_open: frozenset[type] = frozenset(),
    ) -> None:
        self._columns = frozenset(columns)
        self._is_plain = is_plain
        self._still_open = still_open
        self._prefix = prefix
        self.used: set[str] = set()
        self.flaws: list[Flaw] = []

    def compile(self, value: Any, of: Any) -> Part:
        """`of` is the type that the filled value shall have."""
        return self._part(value, inspect.type_info(of), (), frozenset())

    def _part(self, value: Any, node: Any, path: type_path, reserved: frozenset[str]) -> Part:
        if isinstance(value, str):
            return self._text(value, node, path, reserved)
        if isinstance(value, dict):
            fields = tuple(
                (key, self._part(item, _field(node, key), (*path, key), _RESERVED.get(key, frozenset())))
                for key, item in value.items()
            )
            if all(isinstance(part, Fixed) for _, part in fields):
                fixed = {key: part.fill({}) for key, part in fields}
                return Fixed(fixed if self._is_plain else self._struct(fixed, node))
            return Map(fields)
        if isinstance(value, list):
            parts = tuple(self._part(item, _item(node), (*path, at), reserved) for at, item in enumerate(value))
            if all(isinstance(part, Fixed) for part in parts):
                return Fixed([part.fill({}) for part in parts])
            return Items(parts)
        return Fixed(value)

    def _struct(self, value: dict[str, Any], node: Any) -> Any:
        """The struct that the type asks for, or the plain value: what is wrong with it is found with the whole row."""
        structs = [member.cls for member in _members(node) if isinstance(member, inspect.StructType)]
        if len(structs) != 1 or structs[0] in self._still_open:
            return value
        try:
            return msgspec.convert(value, structs[0])
        except msgspec.ValidationError:
            return value

    def _text(self, value: str, node: Any, path: type_path, reserved: frozenset[str]) -> Part:
        pieces: list[str] = [""]
        end = 0
        for match in _COLUMN.finditer(value):
            column = match[1]
            if column in reserved or not self._knows(column, path):
                continue
            pieces[-1] += value[end : match.start()]
            pieces += [column, ""]
            end = match.end()
        if len(pieces) == 1:
            return Fixed(value)
        pieces[-1] += value[end:]
        if len(pieces) == 3 and not pieces[0] and not pieces[2]:
            return Cell(pieces[1], _scalars(node))
        return Text(tuple(pieces))

    def _knows(self, column: str, path: type_path) -> bool:
        if column in self._columns:
            self.used.add(column)
            return True
        message = f"the table has no column `{column}`"
        self.flaws.append(Flaw((*self._prefix, *path), message, near(column, self._columns)))
        return False


def has_column(value: Any) -> bool:
    """Whether a value of a template varies from row to row."""
    if isinstance(value, str):
        return _COLUMN.search(value) is not None
    if isinstance(value, dict):
        return any(map(has_column, value.values()))
    return isinstance(value, list) and any(map(has_column, value))


def _members(node: Any) -> tuple[Any, ...]:
    if isinstance(node, inspect.Metadata):
        return _members(node.type)
    if isinstance(node, inspect.UnionType):
        return tuple(member for each in node.types for member in _members(each))
    return () if node is None else (node,)


def _field(node: Any, key: str) -> Any:
    for member in _members(node):
        if isinstance(member, inspect.StructType):
            return next((field.type for field in member.fields if field.encode_name == key), None)
        if isinstance(member, inspect.DictType):
            return member.value_type
    return None


def _item(node: Any) -> Any:
    return next((member.item_type for member in _members(node) if isinstance(member, inspect.ListType)), None)


@functools.cache
def _names() -> dict[type, str]:
    return {
        inspect.StrType: "string",
        inspect.LiteralType: "string",
        inspect.AnyType: "string",
        inspect.IntType: "integer",
        inspect.FloatType: "number",
        inspect.BoolType: "boolean",
    }


def _scalars(node: Any) -> frozenset[str]:
    return frozenset(_names()[type(member)] for member in _members(node) if type(member) in _names())
