"""What templates see of a node, its site and the fleet: plain values under the spec's own names."""

from __future__ import annotations

from typing import Any

from fleet.model.fleet import ResolvedFleet
from fleet.model.node import Node
from fleet.model.site import ResolvedSite


def node_view(node: Node) -> dict[str, Any]:
    """`node`: its name, role, addresses, labels and identity."""
    return {
        "name": node.name,
        "site": node.site,
        "cluster": node.cluster,
        "role": node.role,
        "set": node.set,
        "arch": node.arch,
        "address": node.addresses[0] if node.addresses else "",
        "addresses": list(node.addresses),
        "labels": node.labels,
        "identity": {"serial": node.identity.serial, "mac": node.identity.mac},
    }


def site_view(site: ResolvedSite) -> dict[str, Any]:
    """`site`: its name, place, labels and network."""
    return {
        "name": site.name,
        "labels": site.labels,
        "timeZone": site.time_zone,
        "coordinates": {"latitude": site.latitude, "longitude": site.longitude},
        "jurisdiction": site.jurisdiction,
        "operator": site.operator,
        "network": {"cidr": site.cidr, "gateway": site.gateway},
    }


def fleet_view(fleet: ResolvedFleet) -> dict[str, Any]:
    """`fleet`: its name."""
    return {"name": fleet.name}
