"""YAML out: block style, the same bytes for equal values, read alike by YAML 1.1 (Ansible) and YAML 1.2 readers.

String values are always quoted: a serial such as 36171E236692 is infinity to YAML 1.2 readers, a MAC such as
84:00:50:16:03:42 a number to YAML 1.1 readers. Text of several lines becomes a literal block where that loses nothing.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from fleet.formats.yaml_scalars import is_plain_string

_SIMPLE_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# YAML 1.2.2, chapter 7.4: a key on one line has at most 1,024 characters.
_LONG_KEY: Final = 1000
_STEP: Final = "  "
_ESCAPES: Final = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0",
    "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\x1b": "\\e",
}  # fmt: skip


def dump(value: Any, *, sort_keys: bool = False) -> str:
    """Write one document of dicts (string keys), lists, tuples, str, int, float, bool and None; ends in a newline.

    Raises TypeError for other types, ValueError for NaN, infinity and lone surrogates.
    """
    if value and isinstance(value, Mapping | list | tuple):
        return _collection(value, "", sort_keys=sort_keys)
    return dump_scalar(value) + "\n"


def dump_mapping_item(key: str, value: Any, indent: int = 0, *, sort_keys: bool = False) -> str:
    """Write `key: value` as it stands in a mapping indented by `indent` spaces; ends in a newline."""
    return _item(_key(key), value, " " * indent, sort_keys=sort_keys)


def dump_scalar(value: Any) -> str:
    """Write a scalar, or an empty collection, on one line."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping | list | tuple) and not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"YAML cannot hold a {type(value).__name__} here")


def _mapping(value: Mapping[str, Any], pad: str, *, sort_keys: bool) -> str:
    items = sorted(value.items()) if sort_keys else value.items()
    return "".join([_item(_key(key), child, pad, sort_keys=sort_keys) for key, child in items])


def _item(key: str, value: Any, pad: str, *, sort_keys: bool) -> str:
    if len(key) > _LONG_KEY:
        return f"{pad}? {key}\n{_item('', value, pad, sort_keys=sort_keys)}"
    if value.__class__ is str:
        text = _block(value, pad) if "\n" in value else _quoted(value)
        return f"{pad}{key}: {text}\n"
    if value and isinstance(value, Mapping | list | tuple):
        return f"{pad}{key}:\n{_collection(value, pad + _STEP, sort_keys=sort_keys)}"
    return f"{pad}{key}: {dump_scalar(value)}\n"


def _collection(value: Any, pad: str, *, sort_keys: bool) -> str:
    write = _mapping if isinstance(value, Mapping) else _sequence
    return write(value, pad, sort_keys=sort_keys)


def _sequence(value: Sequence[Any], pad: str, *, sort_keys: bool) -> str:
    inner = pad + _STEP
    parts = []
    for child in value:
        if child.__class__ is str:
            text = _block(child, pad) if "\n" in child else _quoted(child)
            parts.append(f"{pad}- {text}\n")
        elif child and isinstance(child, Mapping | list | tuple):
            # The first line of the entry stands behind the dash, in the place of its last two spaces.
            entry = _collection(child, inner, sort_keys=sort_keys)
            parts.append(f"{pad}- {entry[len(inner) :]}")
        else:
            parts.append(f"{pad}- {dump_scalar(child)}\n")
    return "".join(parts)


@lru_cache(maxsize=4096)
def _key(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a YAML key must be a string, not {type(key).__name__}")
    if _SIMPLE_KEY.fullmatch(key) and is_plain_string(key):
        return key
    return _quoted(key)


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join([_escaped(character) for character in text])}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"YAML cannot hold the lone surrogate U+{code:04X}")
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _block(text: str, pad: str) -> str:
    """Write text of several lines as a literal block if every reader gives back exactly this text, else quoted."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    plain = (
        lines[0][:1] not in {"", " "} and lines[-1] and all(line.isprintable() and line[-1:] != " " for line in lines)
    )
    if not plain:
        return _quoted(text)
    inner = "\n" + pad + _STEP
    # An empty line gets no indentation: trailing spaces are noise in a diff.
    return ("|" if text.endswith("\n") else "|-") + "".join([inner + line if line else "\n" for line in lines])


def _float(value: float) -> str:
    if not isfinite(value):
        raise ValueError(f"YAML readers do not agree on {value}")
    text = repr(value)
    if "e" in text:  # 1e+16 is text to some readers
        text = format(Decimal(text), "f")
    return text if "." in text else text + ".0"
