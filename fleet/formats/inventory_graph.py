"""Hosts and groups of an Ansible inventory, and the rules by which Ansible joins them.

Source: ansible-core, ansible.inventory.data, ansible.inventory.group and ansible.plugins.inventory.
"""

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fleet.formats import FormatError

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
_MOST_HOSTS: Final = 200_000
_WITH_PORT: Final = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")
_BRACKETED_WITH_PORT: Final = re.compile(r"\[(.+)\]:([0-9]+)")
_RANGE: Final = re.compile(r"\[([^\[\]]*)\]")


class Group(msgspec.Struct, frozen=True):
    """Direct members only, in the order of the text."""

    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: dict[str, Any] = {}


class Inventory(msgspec.Struct, frozen=True):
    """Hosts with their own variables, groups by name (`all` and `ungrouped` are always there), and for each host the
    line, from 1, that names it first.
    """

    hosts: dict[str, dict[str, Any]]
    groups: dict[str, Group]
    lines: dict[str, int]

    def effective_vars(self) -> dict[str, dict[str, Any]]:
        """Give each host's variables with those of its groups below them: outer groups first, then by
        `ansible_group_priority`, then by name; a whole value replaces another.
        """
        depths = _depths(self.groups)
        order = sorted(
            self.groups,
            key=lambda name: (depths[name], int(self.groups[name].vars.get("ansible_group_priority", 1)), name),
        )
        members = {name: self._members(name, {}) for name in order}
        joined: dict[str, dict[str, Any]] = {host: {} for host in self.hosts}
        for name in order:
            given = {key: value for key, value in self.groups[name].vars.items() if key != "ansible_group_priority"}
            if given:
                for host in members[name]:
                    joined[host].update(given)
        return {host: {**joined[host], **own} for host, own in self.hosts.items()}

    def _members(self, name: str, seen: dict[str, None]) -> dict[str, None]:
        """Give the hosts in a group and in all groups below it."""
        group = self.groups[name]
        seen.update(dict.fromkeys(group.hosts))
        for child in group.children:
            self._members(child, seen)
        return seen


class Draft:
    """An inventory while it is read."""

    def __init__(self) -> None:
        self.hosts: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, int] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._vars: dict[str, dict[str, Any]] = {}
        self._parents: dict[str, dict[str, None]] = {}
        self.add_group(ALL)
        self.add_group(UNGROUPED)
        self._children[ALL][UNGROUPED] = None

    def has_group(self, name: str) -> bool:
        return name in self._members

    def add_group(self, name: str) -> None:
        if name not in self._members:
            self._members[name], self._children[name], self._vars[name], self._parents[name] = {}, {}, {}, {}

    def add_child(self, parent: str, child: str, line: int, column: int) -> None:
        """Put a group below another. Raises FormatError where that closes a loop."""
        if child == parent or parent in self._below(child):
            problem = f"the group `{child}` would be inside itself"
            raise FormatError(problem, f"Remove it from the children of `{parent}`", line, column)
        self._children[parent][child] = None
        self._parents[child][parent] = None

    def _below(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            fresh = self._children[waiting.pop()].keys() - found
            found |= fresh
            waiting.extend(fresh)
        return found

    def set_group_vars(self, group: str, values: Mapping[str, Any]) -> None:
        self._vars[group].update(values)

    def add_hosts(self, pattern: str, group: str, values: Mapping[str, Any], line: int, column: int) -> None:
        """Add what a pattern such as `node[01:40]:2222` names. Raises FormatError."""
        names, port = expand(pattern, line, column)
        if len(self.hosts) + len(names) > _MOST_HOSTS:
            raise FormatError(f"more than {_MOST_HOSTS:,} hosts", "Split the inventory", line, column)
        for name in names:
            own = self.hosts.setdefault(name, {})
            self.lines.setdefault(name, line)
            self._members[group][name] = None
            if port is not None:
                own["ansible_port"] = port
            own.update(values)

    def finish(self) -> Inventory:
        """Join what has no place yet: hosts to `ungrouped`, groups to `all`, as Ansible does."""
        grouped = {host for name in self._members if name not in {ALL, UNGROUPED} for host in self._members[name]}
        self._members[UNGROUPED] = {host: None for host in self.hosts if host not in grouped}
        self._members[ALL] = {}
        for name in self._members:
            if name not in {ALL, UNGROUPED} and not self._parents[name]:
                self._children[ALL][name] = None
        groups = {
            name: Group(tuple(hosts), tuple(self._children[name]), self._vars[name])
            for name, hosts in self._members.items()
        }
        return Inventory(self.hosts, groups, self.lines)


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
        if len(names) * len(part) > _MOST_HOSTS:
            raise ValueError(f"it stands for more than {_MOST_HOSTS:,} hosts")
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
    if (int(end) - int(begin)) // int(step) >= _MOST_HOSTS:
        raise ValueError(f"it stands for more than {_MOST_HOSTS:,} hosts")
    return [str(number).zfill(width) for number in range(int(begin), int(end) + 1, int(step))]


def _depths(groups: Mapping[str, Group]) -> dict[str, int]:
    """Give how far below `all` each group stands, by the longest way."""
    depths = dict.fromkeys(groups, 0)
    waiting = [ALL]
    while waiting:
        name = waiting.pop()
        for child in groups[name].children:
            if depths[child] < depths[name] + 1:
                depths[child] = depths[name] + 1
                waiting.append(child)
    return depths
