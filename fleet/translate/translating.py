"""The verb itself: an inventory becomes a spec and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleet.model.translation import ImportedHost, ImportOptions, InventorySource, Translation
from fleet.translate import behaviour, connection, sudo
from fleet.translate.clusters import Clusters, K3s
from fleet.translate.connection import Connections
from fleet.translate.documents import Documents, Parts
from fleet.translate.facts import Definition, Effective, Facts
from fleet.translate.ground import Ground
from fleet.translate.labels import GroupLabels
from fleet.translate.layering import Field, Fields, Given, Layering
from fleet.translate.layouts import roles_of
from fleet.translate.names import node_names
from fleet.translate.notes import Notes
from fleet.translate.reaching import reaches
from fleet.translate.reading import Reading
from fleet.translate.sites import fleet_name, sites_of
from fleet.translate.sudo import SudoPasswords
from fleet.translate.values import Values
from fleet.translate.vaults import Vaults


def translate(source: InventorySource, options: ImportOptions) -> Translation:
    """An inventory as a spec, with a line for all that is not as it was. The same files for the same source.

    Raises SpecError with every mistake of a source that cannot be read, UsageError for options that do not fit it.
    """
    notes = Notes()
    vaults = Vaults(options.vault_password, notes)
    facts = Reading(source, notes).facts(vaults.opened)
    name = fleet_name(source.place or source.path, options.name)
    ground = Ground(facts, Effective(facts), notes)
    roles = roles_of(facts, options)
    sites = sites_of(facts, options, name, notes)
    nodes = vaults.nodes = node_names(facts.inventory.hosts)
    _say_renamed(facts, nodes, notes)
    connections = Connections(ground)
    k3s = Clusters(ground, connections, roles, sites).k3s(vaults)
    labels = GroupLabels(facts, roles, sites, notes)
    given = _given(ground, connections, k3s, Values(ground, vaults))
    layers = Layering(facts, given, sites.groups.values(), _shadow_teller(facts, notes)).layers()
    reached = reaches(ground, connections, k3s.addresses, nodes)
    _say_users(ground)
    documents = Documents(Parts(name, nodes, roles, sites, labels, layers, k3s, reached))
    return Translation(
        fleet=name,
        source=source.path,
        sites=len(set(sites.of.values())),
        variables=sum(1 for _ in facts.definitions()),
        secrets=vaults.count,
        hosts=tuple(ImportedHost(host, nodes[host], sites.of[host]) for host in facts.inventory.hosts),
        groups=tuple(labels.by_group.values()),
        files=(*documents.files(), *vaults.files()),
        notes=notes.sorted(),
    )


def _given(ground: Ground, connections: Connections, k3s: K3s, values: Values) -> Given:
    """What each group and each host gives, in fields of the spec; what no field takes is told."""
    facts, passwords = ground.facts, SudoPasswords(ground, values)

    def fields(named: Mapping[str, Definition]) -> Fields:
        found: Fields = {}
        for definition in named.values():
            if definition.name in sudo.NAMES:
                found.update({("connection", field): value for field, value in passwords.of(definition).items()})
            else:
                found.update(_fields(definition, connections, k3s, values, ground.notes))
        return found

    hosts = {host: fields(named) for host, named in facts.own.items()}
    for host, found in hosts.items():
        found.update({("connection", field): value for field, value in connections.own(host).items()})
    return Given(
        inline={group: fields(named) for group, named in facts.inline.items()},
        files={group: fields(named) for group, named in facts.files.items()},
        hosts=hosts,
    )


def _fields(
    definition: Definition, connections: Connections, k3s: K3s, values: Values, notes: Notes
) -> dict[Field, Any]:
    name = definition.name
    if name in connection.NAMES:
        return {("connection", field): value for field, value in connections.of(definition).items()}
    if name in k3s.names:
        return {}
    if behaviour.is_behaviour(name):
        behaviour.say(definition, notes)
        return {}
    return {("vars", name): values.of(definition)}


def _shadow_teller(facts: Facts, notes: Notes) -> Callable[[str, Field, str], None]:
    """Tells of a variable of a group that Ansible never takes, since a file says it, too."""

    def tell(group: str, field: Field, other: str) -> None:
        for definition in facts.inline.get(group, {}).values():
            if field == ("vars", definition.name):
                by = facts.files[other][definition.name].mark
                notes.note(definition.mark, definition.name, f"never in force: {by.file}:{by.line} stands above it")

    return tell


def _say_renamed(facts: Facts, nodes: Mapping[str, str], notes: Notes) -> None:
    for host, node in nodes.items():
        if host != node:
            message = f"became the node `{node}`: names of nodes are DNS labels; the old name is in inventory_hostname"
            notes.note(facts.inventory.marks.hosts[host], host, message)


def _say_users(ground: Ground) -> None:
    """Ansible then takes the login name of who runs it, `fleet` does not."""
    facts, effective, notes = ground.facts, ground.effective, ground.notes
    without = [
        host
        for host in facts.inventory.hosts
        if all(effective.value(host, name) is None for name in connection.USERS)
        and effective.value(host, "ansible_connection") != "local"
    ]
    if without:
        what = (
            "no host says ansible_user"
            if len(without) == len(facts.inventory.hosts)
            else "some hosts say no ansible_user"
        )
        mark = facts.inventory.marks.hosts[without[0]]
        notes.note(mark, "ansible_user", f"{what}: fleet connects as `fleet` there", "Say `connection: {user: NAME}`")
