"""Hosts and groups of Ansible inventories, and the rules by which Ansible joins them.

Source: ansible-core, ansible.inventory.data, ansible.inventory.group and ansible.inventory.helpers.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
PRIORITY: Final = "ansible_group_priority"


class Vaulted(str):
    """The text of a vault that stands where a value would, still encrypted."""

    __slots__ = ()


class Unsafe(str):
    """A text that Ansible never takes for a template."""

    __slots__ = ()


class Group(msgspec.Struct, frozen=True):
    """Direct members only, in the order of the text."""

    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: dict[str, Any] = {}


class Mark(msgspec.Struct, frozen=True, order=True):
    """A place: line and column count from 1; `file` is empty where there was only one text."""

    file: str
    line: int
    column: int


class Marks(msgspec.Struct, frozen=True):
    """Where hosts and groups are named first, and where each variable of theirs got its value last."""

    hosts: dict[str, Mark] = {}
    groups: dict[str, Mark] = {}
    host_vars: dict[str, dict[str, Mark]] = {}
    group_vars: dict[str, dict[str, Mark]] = {}


class Inventory(msgspec.Struct, frozen=True):
    """Hosts with their own variables, groups by name (`all` and `ungrouped` are always there), and for each host the
    line, from 1, that names it first.
    """

    hosts: dict[str, dict[str, Any]]
    groups: dict[str, Group]
    lines: dict[str, int]
    marks: Marks = Marks()

    def ordered_groups(self) -> list[str]:
        """Give the groups, weakest first: outer ones, then by `ansible_group_priority`, then by name."""
        depths = _depths(self.groups)
        return sorted(self.groups, key=lambda name: (depths[name], int(self.groups[name].vars.get(PRIORITY, 1)), name))

    def members(self, group: str) -> dict[str, None]:
        """Give the hosts in a group and in all groups below it, in the order of the groups."""
        seen: dict[str, None] = {}
        known = {group}
        waiting = [group]
        while waiting:
            found = self.groups[waiting.pop()]
            seen.update(dict.fromkeys(found.hosts))
            fresh = [child for child in found.children if child not in known]
            known.update(fresh)
            waiting.extend(reversed(fresh))
        return seen

    def effective_vars(self) -> dict[str, dict[str, Any]]:
        """Give each host's variables with those of its groups below them; a whole value replaces another."""
        joined: dict[str, dict[str, Any]] = {host: {} for host in self.hosts}
        for name in self.ordered_groups():
            given = {key: value for key, value in self.groups[name].vars.items() if key != PRIORITY}
            if given:
                for host in self.members(name):
                    joined[host].update(given)
        return {host: {**joined[host], **own} for host, own in self.hosts.items()}


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
