"""YAML out as people write it: short maps and lists on one line, quotes only where they are needed.

Read alike by YAML 1.1 (Ansible) and YAML 1.2 readers, like all that is written here. For files that people go on with
by hand; what programs read again and again is written by `yaml_write`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from fleet.formats.yaml_scalars import is_plain_string
from fleet.formats.yaml_write import dump_mapping_item, dump_scalar

WIDTH: Final = 110
_PAD: Final = "  "
# YAML 1.2.2, chapter 7.4: a key on one line has at most 1,024 characters.
_LONG_KEY: Final = 1000
# No date, no base-60 number, nothing with a meaning inside brackets.
_PLAIN: Final = re.compile(r"(?:[A-Za-z_/]|~/)[A-Za-z0-9_./+@-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?")
_PLAIN_WORDS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./+@-]*(?: [A-Za-z0-9_./+@(-][A-Za-z0-9_./+@()-]*)*")


def dump(value: Mapping[str, Any], open_keys: frozenset[str] = frozenset()) -> str:
    """Write one document of dicts, lists, str, int, float, bool and None; ends in a newline.

    Below the keys of `open_keys` each item stands on a line of its own, however short. Raises ValueError for what
    YAML readers do not agree on: NaN, infinity, lone surrogates.
    """
    return "".join(_mapping(value, "", open_keys))


def _mapping(value: Mapping[str, Any], pad: str, open_keys: frozenset[str]) -> list[str]:
    parts: list[str] = []
    for key, item in value.items():
        name = _scalar(key)
        if len(name) > _LONG_KEY:
            parts.append(dump_mapping_item(key, item, len(pad)))
            continue
        if not isinstance(item, dict | list) or not item:
            parts.append(f"{pad}{name}: {_leaf(item, pad)}")
            continue
        flow = "" if key in open_keys else _flow(item, WIDTH - len(pad) - len(name) - 2)
        if flow:
            parts.append(f"{pad}{name}: {flow}\n")
            continue
        parts.append(f"{pad}{name}:\n")
        inner = pad + _PAD
        parts += _mapping(item, inner, open_keys) if isinstance(item, dict) else _sequence(item, inner, open_keys)
    return parts


def _sequence(value: list[Any], pad: str, open_keys: frozenset[str]) -> list[str]:
    parts: list[str] = []
    for item in value:
        flow = _flow(item, WIDTH - len(pad) - 2)
        if flow:
            parts.append(f"{pad}- {flow}\n")
        elif isinstance(item, dict):
            # The first line stands behind the dash, in the place of its last two spaces.
            lines = _mapping(item, pad + _PAD, open_keys)
            parts += [f"{pad}- {lines[0][len(pad) + 2 :]}", *lines[1:]]
        elif isinstance(item, list):
            lines = _sequence(item, pad + _PAD, open_keys)
            parts += [f"{pad}- {lines[0][len(pad) + 2 :]}", *lines[1:]]
        else:
            parts.append(f"{pad}- {_leaf(item, pad)}")
    return parts


def _leaf(item: Any, pad: str) -> str:
    """What stands behind a key or a dash: a scalar, or a block of text below it."""
    if isinstance(item, str) and "\n" in item:
        return dump_mapping_item("x", item, len(pad))[len(pad) + 3 :]
    return f"{_scalar(item)}\n"


def _flow(value: Any, room: int) -> str:
    """The value on one line; empty where it does not fit, or holds text of several lines."""
    if isinstance(value, dict):
        return _joined("{%s}", ((f"{_scalar(key)}: ", item) for key, item in value.items()), room)
    if isinstance(value, list):
        return _joined("[%s]", (("", item) for item in value), room)
    if isinstance(value, str) and "\n" in value:
        return ""
    text = _scalar(value)
    return text if len(text) <= room else ""


def _joined(brackets: str, items: Iterable[tuple[str, Any]], room: int) -> str:
    parts: list[str] = []
    room -= 2
    for before, item in items:
        text = _flow(item, room - len(before))
        if not text:
            return ""
        parts.append(before + text)
        room -= len(parts[-1]) + 2
    return brackets % ", ".join(parts) if room >= -2 else ""


def _scalar(value: Any) -> str:
    if value.__class__ is str:
        return _text(value)
    return dump_scalar(value)


@lru_cache(maxsize=65536)
def _text(text: str) -> str:
    if (_PLAIN.fullmatch(text) or _PLAIN_WORDS.fullmatch(text)) and is_plain_string(text):
        return text
    return dump_scalar(text)
