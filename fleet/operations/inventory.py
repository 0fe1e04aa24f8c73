"""inventory: the fleet as a source that Ansible asks. Beside render, for it needs nothing of what render does."""

from __future__ import annotations

from typing import Any

from fleet.operations.intent import Intent
from fleet.render.inventory import all_vars, ca_hashes, groups, host_vars, listing


def inventory(intent: Intent) -> dict[str, Any]:
    """The script protocol's `--list`: what ansible-inventory says of the rendered project."""
    fleet = intent.fleet
    shared = all_vars(fleet, intent.tree.revision.commit)
    machine_ids = {name: record.machine_id for name, record in intent.records.items()}
    told = ca_hashes(fleet, fleet.nodes, intent.learned_of)
    hosts = {
        node.name: {**shared, **host_vars(fleet, node, machine_ids.get(node.name, ""), told.get(node.cluster, ""))}
        for node in fleet.nodes
    }
    return listing(hosts, groups(fleet, fleet.nodes))
