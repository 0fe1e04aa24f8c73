"""Node sets: names and addresses of N like machines, such that growing a set never renames or re-addresses one.

Both depend on the index alone (from 1), never on the count.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from string import Formatter

from msgspec import UnsetType

from fleet.model.spec.site import NodeSetSpec

DEFAULT_PATTERN = "{site}-{set}-{index:03d}"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


class PatternError(ValueError):
    """A namePattern that gives no usable name; the message says why."""


def names(node_set: NodeSetSpec, site: str) -> list[str]:
    """The names of the set's nodes in the order of their index. Raises PatternError."""
    pattern = DEFAULT_PATTERN if isinstance(node_set.name_pattern, UnsetType) else node_set.name_pattern
    _check_pattern(pattern)
    values = {"site": site, "set": node_set.name}
    try:
        made = [pattern.format(**values, index=index) for index in range(1, node_set.count + 1)]
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise PatternError(f"{pattern!r} cannot be filled in: {error}") from None
    for name in (made[0], made[-1]) if made else ():
        if not _LABEL.match(name):
            raise PatternError(
                f"gives {name!r}, which is no DNS label (lower-case letters, digits and `-`, at most 63)"
            )
    return made


def _check_pattern(pattern: str) -> None:
    try:
        fields = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        raise PatternError(f"{pattern!r}: {error}") from None
    if unknown := fields - {"site", "set", "index"}:
        raise PatternError(f"{{{min(unknown)}}} is not one of {{site}}, {{set}}, {{index}}")
    if "index" not in fields:
        raise PatternError("has no {index}: every node would have one name")


def addresses(node_set: NodeSetSpec) -> Iterator[str]:
    """One address per index. That they suffice was checked by load; nothing when the set names no addresses."""
    if isinstance(node_set.start, str):
        first, family = _number(node_set.start)
    elif isinstance(node_set.addresses, str):
        first, family = _first_of(node_set.addresses)
    else:
        return
    size = 4 if family == socket.AF_INET else 16
    for number in range(first, first + node_set.count):
        yield socket.inet_ntop(family, number.to_bytes(size, "big"))


def _first_of(text: str) -> tuple[int, socket.AddressFamily]:
    """The first usable address of a network (not its own, unless /31, /32, /127 or /128) or of a range."""
    network, slash, prefix = text.partition("/")
    if not slash:
        return _number(text.partition("-")[0])
    number, family = _number(network)
    free_bits = (32 if family == socket.AF_INET else 128) - int(prefix)
    base = number >> free_bits << free_bits
    return (base + 1 if free_bits > 1 else base), family


def _number(address: str) -> tuple[int, socket.AddressFamily]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, address), "big"), family
