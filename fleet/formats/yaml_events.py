"""The one strict YAML builder: libyaml's event stream becomes plain Python values, or a list of mistakes.

Line and column are worked out only where there is a mistake to tell.
"""

from sys import intern
from typing import Any, Final

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from fleet.formats import FormatError
from fleet.formats.utf8 import check_encoding
from fleet.formats.yaml_aliases import MAX_DEPTH, Aliases
from fleet.formats.yaml_scalars import AMBIGUOUS, PlainScalars, why_ambiguous
from fleet.formats.yaml_syntax import syntax_error

_STRING_TAG: Final = "tag:yaml.org,2002:str"
# What the next node is: a key of the open mapping, an entry of the open list, or (a string) the value of that key.
_WANT_KEY: Final = object()
_IN_LIST: Final = object()
# The key of a mapping under which `<<` waits until the mapping is complete.
_MERGE: Final = object()


def build(text: bytes) -> tuple[list[Any], list[FormatError]]:
    """Read all documents of a stream. The values are to be used only when there is no mistake."""
    builder = _Builder()
    try:
        check_encoding(text)
        builder.read(text)
    except YAMLError as error:
        builder.problems.append(syntax_error(error, text))
    except FormatError as error:
        builder.problems.append(error)
    return builder.documents, builder.problems


class _Builder:
    def __init__(self) -> None:
        self.documents: list[Any] = []
        self.problems: list[FormatError] = []
        self._plain = PlainScalars()
        self._keys: dict[str, Any] = {}
        self._aliases = Aliases()
        self._merging: list[tuple[dict[Any, Any], Any]] = []

    def read(self, text: bytes) -> None:  # noqa: C901, PLR0912, PLR0915 -- one flat loop: a call per event costs 30 %
        plain, keys, aliases = self._plain, self._keys, self._aliases
        stack: list[Any] = []
        top: Any = self.documents
        key: Any = _IN_LIST
        value: Any
        event: Any  # the stubs know no event's attributes
        for event in iter(CParser(text).get_event, None):
            kind = event.__class__
            if kind is ScalarEvent:
                value = event.value
                if event.tag is not None:
                    self._check_tag(event)
                elif not event.style:
                    if key is _WANT_KEY:
                        value = keys[value] if value in keys else self._plain_key(value, event)
                    else:
                        value = plain[value]
                        if value is AMBIGUOUS:
                            value = self._ambiguous(event)
                if event.anchor is not None:
                    aliases.define(event.anchor, value)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                if self._merging and self._merging[-1][0] is top:
                    self._merge(*self._merging.pop())
                aliases.close(top)
                top = stack.pop()
                key = _WANT_KEY if top.__class__ is dict else _IN_LIST
                continue
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                value = {} if kind is MappingStartEvent else []
                if key is _WANT_KEY:
                    hint = "Write a plain key, and quote text that starts with a bracket or a brace"
                    raise _at(event, "a key must be a string, but here is a list or a mapping", hint)
                self._check_collection(event, len(stack))
                if event.anchor is not None:
                    aliases.open(event.anchor, value)
                if key is _IN_LIST:
                    top.append(value)
                else:
                    top[key] = value
                stack.append(top)
                top = value
                key = _WANT_KEY if kind is MappingStartEvent else _IN_LIST
                continue
            elif kind is AliasEvent:
                value = aliases.use(event, len(stack))
                if key is _WANT_KEY and value.__class__ is not str:
                    raise _at(event, "a key must be a string", "Write the key out")
            else:
                if kind is DocumentStartEvent:
                    aliases.forget()
                continue
            if key is _WANT_KEY:
                if value in top:
                    self._duplicate(event)
                key = intern(value) if value.__class__ is str else value
                if key is _MERGE:
                    self._merging.append((top, event))
            elif key is _IN_LIST:
                top.append(value)
            else:
                top[key] = value
                key = _WANT_KEY

    def _plain_key(self, text: str, event: Any) -> Any:
        if text == "<<":
            return _MERGE
        value = self._plain[text]
        if value is AMBIGUOUS:
            return self._ambiguous(event)
        if value.__class__ is not str:
            found = f"`{text}`" if text else "nothing"
            problem = f"a key must be a string, but here is {found}"
            self.problems.append(
                _at(event, problem, f'Write "{text}" in quotes' if text else "Write a key before the :")
            )
            return text
        self._keys[text] = value
        return value

    def _ambiguous(self, event: Any) -> str:
        text: str = event.value
        problem, hint = why_ambiguous(text)
        self.problems.append(_at(event, problem, hint))
        return text

    def _duplicate(self, event: Any) -> None:
        text = getattr(event, "value", None) or f"*{event.anchor}"
        self.problems.append(_at(event, f"the key `{text}` stands here twice", "Keep one of the two"))

    def _check_tag(self, event: Any) -> None:
        if event.tag != _STRING_TAG:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append(_at(event, f"the tag {tag} is not understood here", "Remove the tag"))

    def _check_collection(self, event: Any, depth: int) -> None:
        if event.tag is not None:
            self._check_tag(event)
        if depth >= MAX_DEPTH:
            raise _at(event, f"more than {MAX_DEPTH} levels of nesting", "Make the document flatter")

    def _merge(self, mapping: dict[Any, Any], event: Any) -> None:
        """Apply `<<` (YAML 1.1 merge type): keys written out win, then the earlier mapping of a list."""
        merged = mapping.pop(_MERGE)
        sources = merged if merged.__class__ is list else [merged]
        if any(source.__class__ is not dict for source in sources):
            hint = "Write `<<: *anchor` or `<<: [*one, *two]`"
            self.problems.append(_at(event, "`<<` takes a mapping or a list of mappings", hint))
            return
        written = mapping.copy()
        mapping.clear()
        for source in reversed(sources):
            mapping.update(source)
        mapping.update(written)


def _at(event: Any, problem: str, hint: str) -> FormatError:
    mark = event.start_mark
    return FormatError(problem, hint, mark.line + 1, mark.column + 1)
