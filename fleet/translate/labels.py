"""Groups become labels of nodes, by which selectors find them."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.model.translation import ImportedGroup
from fleet.translate.facts import ALL, UNGROUPED, Chain, Facts
from fleet.translate.layouts import Roles
from fleet.translate.names import label_keys
from fleet.translate.notes import Notes
from fleet.translate.sites import Sites

Labels = dict[str, str]
_MEMBER = "true"


class GroupLabels:
    """`by_group` has what nodes of a group have and others have not: a label of its own, their role, or their site."""

    def __init__(self, facts: Facts, roles: Roles, sites: Sites, notes: Notes) -> None:
        self._facts = facts
        self._sites = sites
        of_site = {group: site for site, group in sites.groups.items()}
        of_role = {group: role for group, role in roles.by_group.items() if _is_role(facts, roles, group)}
        named = [group for group in facts.inventory.groups if group != ALL and self._is_said(group)]
        keys = label_keys(group for group in named if group not in of_site and group not in of_role)
        self.by_group: dict[str, ImportedGroup] = {}
        for group in named:
            if group in of_site:
                self.by_group[group] = ImportedGroup(group, "site", of_site[group])
            elif group in of_role:
                self.by_group[group] = ImportedGroup(group, "role", of_role[group])
            else:
                self.by_group[group] = ImportedGroup(group, keys[group], _MEMBER)
                if keys[group] != group:
                    notes.note(facts.inventory.marks.groups[group], group, f"its nodes have the label `{keys[group]}`")
        self._of_chain: dict[Chain, Labels] = {}

    def _is_said(self, group: str) -> bool:
        """Hosts without a group are told apart only where something is said of them."""
        return group != UNGROUPED or bool(self._facts.inline.get(group) or self._facts.files.get(group))

    def selector(self, group: str) -> Mapping[str, Mapping[str, str]]:
        found = self.by_group[group]
        return {"matchLabels": {found.label: found.value}}

    def of_sites(self) -> dict[str, Labels]:
        """The labels that all nodes of a site have."""
        shared: dict[str, Labels] = {}
        for site, chain in dict.fromkeys((self._sites.of[host], chain) for host, chain in self._facts.chains.items()):
            own = self._own(chain)
            shared[site] = {key: own[key] for key in shared[site] if key in own} if site in shared else dict(own)
        return shared

    def of_node(self, host: str, site: Labels) -> Labels:
        """The labels of a node that its site does not have."""
        return {key: value for key, value in self._own(self._facts.chains[host]).items() if key not in site}

    def _own(self, chain: Chain) -> Labels:
        known = self._of_chain.get(chain)
        if known is None:
            found = (self.by_group[group] for group in chain if group in self.by_group)
            known = {each.label: each.value for each in found if each.label not in {"site", "role"}}
            self._of_chain[chain] = known
        return known


def _is_role(facts: Facts, roles: Roles, group: str) -> bool:
    """Whether a group has all servers, or all agents, and nobody else."""
    role = roles.by_group[group]
    members = facts.members[group]
    of_role = sum(each == role for each in roles.of.values())
    return len(members) == of_role and all(roles.of[host] == role for host in members)
