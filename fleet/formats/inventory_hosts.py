"""Patterns of host names, such as `node[01:40]:2222`. Source: ansible-core, ansible.plugins.inventory."""

import re
import string
from collections.abc import Iterable, Iterator
from typing import Final

from fleet.formats import FormatError

MOST_HOSTS: Final = 200_000
_WITH_PORT: Final = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")
_BRACKETED_WITH_PORT: Final = re.compile(r"\[(.+)\]:([0-9]+)")
_RANGE: Final = re.compile(r"\[([^\[\]]*)\]")


def expand(pattern: str, line: int, column: int) -> tuple[list[str], int | None]:
    """Give the host names a pattern stands for, and its port if it has one. Raises FormatError."""
    found = _BRACKETED_WITH_PORT.fullmatch(pattern) or _WITH_PORT.fullmatch(pattern)
    body, port = (found[1], int(found[2])) if found else (pattern, None)
    if (
        not body
        or any(character.isspace() for character in body)
        or (pattern.endswith(":") and not pattern.endswith("::"))
    ):
        raise FormatError(
            f"`{pattern}` is not a host name", "Write a name, or a range such as node[01:40]", line, column
        )
    try:
        names = _combine(_parts(body))
    except ValueError as error:
        raise FormatError(
            f"the range in `{pattern}`: {error}", "Write node[01:40] or node[a:f]", line, column
        ) from None
    return names, port


def _combine(parts: Iterable[list[str]]) -> list[str]:
    names = [""]
    for part in parts:
        if len(names) * len(part) > MOST_HOSTS:
            raise ValueError(f"it stands for more than {MOST_HOSTS:,} hosts")
        names = [name + end for name in names for end in part]
    return names


def _parts(body: str) -> Iterator[list[str]]:
    """Cut a pattern into text and ranges, and give each part's values. Raises ValueError."""
    for index, part in enumerate(_RANGE.split(body)):
        if index % 2:
            yield _range(part)
        elif "[" in part or "]" in part:
            raise ValueError("a bracket is not closed")
        else:
            yield [part]


def _range(text: str) -> list[str]:
    bounds = text.split(":")
    if len(bounds) not in {2, 3} or not bounds[1]:
        raise ValueError("it needs begin:end or begin:end:step")
    begin, end = bounds[0] or "0", bounds[1]
    step = bounds[2] if len(bounds) == 3 else "1"
    if not step.isdecimal() or not int(step):
        raise ValueError("the step must be 1 or more")
    letters = string.ascii_letters
    if len(begin) == len(end) == 1 and begin in letters and end in letters:
        first, last = letters.index(begin), letters.index(end)
        if first > last:
            raise ValueError("begin is behind end")
        return list(letters[first : last + 1 : int(step)])
    if not (begin.isdecimal() and end.isdecimal() and len(end) <= 18):
        raise ValueError("begin and end must be numbers or letters")
    width = len(begin) if begin[0] == "0" and len(begin) > 1 else 0
    if width and len(end) != width:
        raise ValueError("begin and end must have equally many digits")
    if int(begin) > int(end):
        raise ValueError("begin is behind end")
    if (int(end) - int(begin)) // int(step) >= MOST_HOSTS:
        raise ValueError(f"it stands for more than {MOST_HOSTS:,} hosts")
    return [str(number).zfill(width) for number in range(int(begin), int(end) + 1, int(step))]
