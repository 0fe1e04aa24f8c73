"""Where each value stands in the spec, so that a fleet's layers give every node what Ansible would give it.

The Fleet has what `all` says, a profile each group's own, in Ansible's order, a site what its group says where nothing
stronger says it, too, and a node its own. Two things are different, and both are seen to here:

- Ansible's files beside an inventory stand above everything in it, of whichever group. What the order of groups alone
  would not give right goes into a second profile of its group, before all others.
- Ansible replaces whole values, layers merge maps and named lists. Where that shows, a profile that removes the value
  comes right before what says it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from fleet.translate.facts import ALL, Chain, Facts
from fleet.translate.values import is_replaced_wrongly

Field = tuple[str, str]
"""A part of a layer and a key in it: `("vars", "ntp")`, `("connection", "user")`."""
Fields = dict[Field, Any]
Tell = Callable[[str, Field, str], None]
"""Hears of a value of a group that is never in force: the group, the field, and the group whose files say it too."""


class Given(msgspec.Struct, frozen=True):
    """What the inventory gives, by group and stage and by host. None: it removes what weaker ones gave."""

    inline: Mapping[str, Fields]
    files: Mapping[str, Fields]
    hosts: Mapping[str, Fields]


class Layered(msgspec.Struct):
    """What one layer says, and which fields have to be removed first."""

    fields: Fields = {}
    anew: set[Field] = set()

    @property
    def is_empty(self) -> bool:
        return not self.fields


class Slot(msgspec.Struct, frozen=True, order=True):
    """A place among the layers of all nodes: `rank` 0 the Fleet, 1 early profiles, 2 profiles, 3 sites."""

    rank: int
    at: int
    group: str


class Layers(msgspec.Struct, frozen=True):
    """The layers in their order; those of sites by the site's group, those of nodes by host."""

    fleet: Layered
    profiles: tuple[tuple[Slot, Layered], ...]
    sites: Mapping[str, Layered]
    nodes: Mapping[str, Layered]


class Layering:
    """`site_groups` are the groups that sites stand for."""

    def __init__(self, facts: Facts, given: Given, site_groups: Iterable[str], tell: Tell) -> None:
        self._facts = facts
        self._given = given
        self._site_groups = frozenset(site_groups)
        self._tell = tell
        self._at = {group: at for at, group in enumerate(facts.order)}
        self._classes = list(dict.fromkeys(facts.chains.values()))
        self._classes_of: dict[str, list[Chain]] = {}
        for chain in self._classes:
            for group in chain:
                self._classes_of.setdefault(group, []).append(chain)
        self._slots: dict[Slot, Layered] = {}
        # What each class of hosts has of each field before its own: the value that its last slot gave.
        self._before: dict[Chain, Fields] = {}

    def layers(self) -> Layers:
        for field, by_group in self._by_field().items():
            self._place(field, by_group)
        self._look_for_merges()
        nodes = {host: self._node(host, own) for host, own in self._given.hosts.items()}
        ordered = sorted(self._slots.items())
        return Layers(
            fleet=self._slots.get(Slot(0, 0, ALL), Layered({}, set())),
            profiles=tuple((slot, layer) for slot, layer in ordered if slot.rank in {1, 2} and not layer.is_empty),
            sites={slot.group: layer for slot, layer in ordered if slot.rank == 3},
            nodes=nodes,
        )

    def _by_field(self) -> dict[Field, dict[str, tuple[Any, bool]]]:
        """For each field, the groups that give it: the value, and whether a file does."""
        found: dict[Field, dict[str, tuple[Any, bool]]] = {}
        for group in self._facts.order:
            for is_file, fields in ((False, self._given.inline.get(group)), (True, self._given.files.get(group))):
                for field, value in (fields or {}).items():
                    by_group = found.setdefault(field, {})
                    if group in by_group:
                        self._tell(group, field, group)
                    by_group[group] = (value, is_file)
        return found

    def _place(self, field: Field, by_group: dict[str, tuple[Any, bool]]) -> None:
        if ALL in by_group and by_group[ALL][1]:  # a file of `all` stands above all that the inventory itself says
            for group in [group for group, (_, is_file) in by_group.items() if not is_file]:
                self._tell(group, field, ALL)
                del by_group[group]
        early = self._are_early(by_group)
        for group, (value, is_file) in by_group.items():
            slot = self._slot(group, by_group, is_early=early and not is_file)
            self._slots.setdefault(slot, Layered({}, set())).fields[field] = value

    def _are_early(self, by_group: Mapping[str, tuple[Any, bool]]) -> bool:
        """Whether the order of groups alone would give a host another value than Ansible does."""
        groups = {group for group in by_group if group != ALL}
        if len({by_group[group][1] for group in groups}) < 2:
            return False
        for chain in self._classes:
            present = [group for group in chain if group in groups]
            filed = [group for group in present if by_group[group][1]]
            if filed and filed[-1] != present[-1]:
                return True
        return False

    def _slot(self, group: str, by_group: Mapping[str, tuple[Any, bool]], *, is_early: bool) -> Slot:
        if group == ALL:
            return Slot(0, 0, ALL)
        if is_early:
            return Slot(1, self._at[group], group)
        classes = self._classes_of.get(group) if group in self._site_groups else None
        is_last = classes is not None and all(
            next(each for each in reversed(chain) if each in by_group) == group for chain in classes
        )
        return Slot(3, 0, group) if is_last else Slot(2, self._at[group], group)

    def _look_for_merges(self) -> None:
        """Follow each class of hosts through its layers: where would the next one merge instead of replace?"""
        needed: set[tuple[Slot, Field]] = set()
        by_group: dict[str, list[tuple[Slot, Layered]]] = {}
        for slot, layer in self._slots.items():
            by_group.setdefault(slot.group, []).append((slot, layer))
        for chain in self._classes:
            held: Fields = {}
            for slot, layer in sorted((each for group in chain for each in by_group.get(group, ())), key=_slot_of):
                for field, value in layer.fields.items():
                    if value is None:
                        if held.pop(field, None) is not None:
                            needed.add((slot, field))
                        continue
                    if field in held and is_replaced_wrongly(held[field], value):
                        layer.anew.add(field)
                    held[field] = value
            self._before[chain] = held
        for slot, layer in self._slots.items():  # a null where nothing is to be removed says nothing
            for field in [f for f, value in layer.fields.items() if value is None and (slot, f) not in needed]:
                del layer.fields[field]

    def _node(self, host: str, own: Fields) -> Layered:
        held = self._before[self._facts.chains[host]]
        fields = {field: value for field, value in own.items() if value is not None or field in held}
        return Layered(fields, {f for f, value in fields.items() if f in held and is_replaced_wrongly(held[f], value)})


def _slot_of(item: tuple[Slot, Layered]) -> Slot:
    return item[0]
