"""What an inventory says, before anything is made of it: who is in which group, and which value holds where.

Ansible's order, weakest first: variables of `all` in the inventory, those of groups there, files of `all`, files of
groups, variables of hosts in the inventory, files of hosts. Among groups: outer before inner ones, then by
`ansible_group_priority`, then by name. Source: ansible-core, ansible.vars.manager (VARIABLE_PRECEDENCE).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from fleet.formats.inventory import Inventory, Mark

ALL = "all"
UNGROUPED = "ungrouped"
HOST = "inventory_hostname"

Stage = Literal["inventory", "file"]
Chain = tuple[str, ...]


class Definition(msgspec.Struct, frozen=True, eq=False):
    """A variable that is set at one place. `host` is empty for one of a group."""

    name: str
    value: Any
    mark: Mark
    stage: Stage
    group: str = ""
    host: str = ""


Named = Mapping[str, Definition]


class Facts(msgspec.Struct, frozen=True, eq=False):
    """`order` has the groups, weakest first. `chains` gives each host's groups in that order, `all` first; hosts with
    the same groups share one object. `inline` and `files` have the variables of groups by stage, `own` those of hosts.
    """

    inventory: Inventory
    order: tuple[str, ...]
    chains: Mapping[str, Chain]
    inline: Mapping[str, Named]
    files: Mapping[str, Named]
    own: Mapping[str, Named]
    members: Mapping[str, tuple[str, ...]]

    def definitions(self) -> Iterator[Definition]:
        """Every variable at every place, groups before hosts."""
        for group in self.order:
            yield from self.inline.get(group, {}).values()
            yield from self.files.get(group, {}).values()
        for named in self.own.values():
            yield from named.values()

    def of_chain(self, chain: Chain) -> dict[str, Definition]:
        """What the groups of a chain give together."""
        found: dict[str, Definition] = {}
        for by_group in (self.inline, self.files):
            for group in chain:
                found.update(by_group.get(group, {}))
        return found


class Effective:
    """What holds for each host, worked out once per chain."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._of_chain: dict[Chain, dict[str, Definition]] = {}

    def of(self, host: str, name: str) -> Definition | None:
        """The definition that wins; None where the host has no such variable."""
        own = self._facts.own.get(host, {}).get(name)
        return own if own is not None else self.shared(host).get(name)

    def value(self, host: str, name: str) -> Any:
        found = self.of(host, name)
        return None if found is None else found.value

    def shared(self, host: str) -> dict[str, Definition]:
        """What the host has from its groups."""
        chain = self._facts.chains[host]
        known = self._of_chain.get(chain)
        if known is None:
            known = self._of_chain[chain] = self._facts.of_chain(chain)
        return known


def facts_of(inventory: Inventory, files: Mapping[str, Named], host_files: Mapping[str, Named]) -> Facts:
    """`files` and `host_files` are what stands beside the inventory, by group and by host."""
    order = tuple(inventory.ordered_groups())
    members = {group: tuple(inventory.members(group)) for group in order}
    chains = _chains(inventory, order, members)
    inline = {group: _inline(inventory, group) for group in order}
    own = {}
    for host, values in inventory.hosts.items():
        marks = inventory.marks.host_vars.get(host, {})
        named: dict[str, Definition] = {
            name: Definition(name, value, marks[name], "inventory", host=host) for name, value in values.items()
        }
        own[host] = {**named, **host_files.get(host, {})}
    return Facts(inventory, order, chains, inline, files, own, {**members, ALL: tuple(inventory.hosts)})


def _inline(inventory: Inventory, group: str) -> Named:
    marks = inventory.marks.group_vars.get(group, {})
    values = inventory.groups[group].vars
    return {
        name: Definition(name, value, marks[name], "inventory", group=group)
        for name, value in values.items()
        if name != "ansible_group_priority"
    }


def _chains(inventory: Inventory, order: Chain, members: Mapping[str, Chain]) -> dict[str, Chain]:
    groups: dict[str, list[str]] = {host: [ALL] for host in inventory.hosts}
    for group in order:
        for host in members[group] if group != ALL else ():
            groups[host].append(group)
    shared: dict[Chain, Chain] = {}
    return {host: shared.setdefault(tuple(names), tuple(names)) for host, names in groups.items()}
