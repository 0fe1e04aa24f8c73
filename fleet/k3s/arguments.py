"""Arguments of `k3s server` and `k3s agent` as keys of config.yaml.

Source: k3s-io/docs installation/configuration.md ("Configuration File"): each flag is a key without its dashes, and a
flag that is given again makes a list.
"""

import shlex
from collections.abc import Iterator
from typing import Any

import msgspec

from fleet.k3s.keys import Key, find_alias, find_key


class Arguments(msgspec.Struct, frozen=True):
    """`config` holds keys with values of their kinds, `strays` the words that belong to no flag."""

    config: dict[str, Any]
    strays: tuple[str, ...] = ()


# Flags whose values people join with commas (urfave/cli splits all lists at them; only here it is surely meant).
_COMMAS = frozenset({"disable", "tls-san"})


def read_arguments(text: str) -> Arguments:
    """Raises ValueError for a quote that is not closed. An unknown flag is kept under its own name."""
    config: dict[str, Any] = {}
    strays: list[str] = []
    for name, value in _flags(shlex.split(text), strays):
        key = find_key(name)
        if key is not None and key.kind == "list":
            items = value.split(",") if key.name in _COMMAS and isinstance(value, str) else [value]
            config.setdefault(name, []).extend(items)
        else:
            config[name] = value if key is None else _typed(key, value)
    return Arguments(config, tuple(strays))


def _flags(words: list[str], strays: list[str]) -> Iterator[tuple[str, Any]]:
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or not word.strip("-"):
            strays.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        alias = find_alias(name)
        name = name if alias is None else alias.name
        if equals:
            yield name, value
            continue
        key = find_key(name)
        takes_value = key.kind != "bool" if key is not None else at < len(words) and not words[at].startswith("-")
        if takes_value and at < len(words):
            yield name, words[at]
            at += 1
        else:
            yield name, True


def _typed(key: Key, value: Any) -> Any:
    if key.kind == "bool" and value in {"true", "false"}:
        return value == "true"
    if key.kind == "int" and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value
