"""Which site a host belongs to: one of those that --site-group names, or one site for all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from fleet.errors import UsageError
from fleet.formats.inventory import Mark
from fleet.model.translation import ImportOptions
from fleet.translate.facts import Facts
from fleet.translate.layouts import matching
from fleet.translate.names import Taken, dns_label
from fleet.translate.notes import Notes

# Names that say nothing of a fleet: folders and files are called so in any repository.
_GENERIC = re.compile(
    r"hosts?|inventor(y|ies)|inventory[-_]sample|ansible|environments?|envs?|sample|\.*", re.IGNORECASE
)
_SHOWN = 5


class Sites(msgspec.Struct, frozen=True):
    """`of` has each host's site, `groups` the group that a site stands for (none of the site of the rest)."""

    of: Mapping[str, str]
    groups: Mapping[str, str]


def fleet_name(path: str, wanted: str) -> str:
    """The fleet's name: as wanted, else after the inventory's file or the nearest folder that has a name of its own.

    Raises UsageError for a wanted name that is none.
    """
    if wanted:
        if dns_label(wanted, "") != wanted:
            mend = dns_label(wanted, "")
            raise UsageError(
                f"--name {wanted!r} is no DNS label: lower-case letters, digits and `-`, at most 63",
                f"did you mean `{mend}`?" if mend else "",
            )
        return wanted
    pure = PurePosixPath(path)
    for part in (pure.stem, *reversed(pure.parts[:-1])):
        if not _GENERIC.fullmatch(part) and part != "/" and dns_label(part, ""):
            return dns_label(part, "")
    return "fleet"


def sites_of(facts: Facts, options: ImportOptions, fallback: str, notes: Notes) -> Sites:
    """Each host's site. Raises UsageError for a host that would be at two."""
    if not options.site_group:
        return Sites(dict.fromkeys(facts.inventory.hosts, fallback), {})
    groups = matching(facts, options.site_group, "--site-group")
    children = [child for child in facts.inventory.groups[groups[0]].children if facts.members[child]]
    if len(groups) == 1 and children:
        groups = tuple(children)
    taken = Taken()
    names = {group: taken.give(dns_label(group, "site"), 63) for group in groups}
    of: dict[str, str] = {}
    placed = [(host, name) for group, name in names.items() for host in facts.members[group]]
    twice = [f"{host} ({of[host]} and {name})" for host, name in placed if of.setdefault(host, name) != name]
    if twice:
        more = f" and {len(twice) - _SHOWN:,} more" if len(twice) > _SHOWN else ""
        raise UsageError(
            f"--site-group {options.site_group!r} puts hosts at two sites: {', '.join(twice[:_SHOWN])}{more}",
            "name groups that share no host",
        )
    rest = [host for host in facts.inventory.hosts if host not in of]
    if rest:
        elsewhere = taken.give(fallback, 63)
        for host in rest:
            of[host] = elsewhere
            mark = facts.inventory.marks.hosts[host]
            notes.note(mark, host, f"in no group that --site-group names: at the site `{elsewhere}`")
    _say_mended(facts, names, notes)
    return Sites({host: of[host] for host in facts.inventory.hosts}, {name: group for group, name in names.items()})


def _say_mended(facts: Facts, names: Mapping[str, str], notes: Notes) -> None:
    for group, name in names.items():
        if group != name:
            mark: Mark = facts.inventory.marks.groups[group]
            notes.note(mark, group, f"the site is called `{name}`", "Names of sites are DNS labels")
