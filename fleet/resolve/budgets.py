"""Which nodes share a disruption budget, and how many of them may be away at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fleet.model.cluster import Cluster
from fleet.model.fleet import ResolvedFleet
from fleet.model.policy import DisruptionBudget, NodeGroup
from fleet.resolve.scope import seen_labels


def budgets(fleet: ResolvedFleet, changing: Collection[str], away: Collection[str]) -> tuple[NodeGroup, ...]:
    """The groups in which a node changes, each with all of its nodes: by the labels of the policy's budget, and the
    servers of clusters in which one is away (`away` are nodes that do not answer). None without a policy.
    """
    policy = fleet.policy
    if policy is None:
        return ()
    found = [] if policy.budget is None else [*_labelled(fleet, policy.budget)]
    found += [_servers(cluster) for cluster in fleet.clusters.values() if not set(cluster.servers).isdisjoint(away)]
    return tuple(group for group in found if any(name in changing for name in group.nodes))


def _labelled(fleet: ResolvedFleet, budget: DisruptionBudget) -> Iterator[NodeGroup]:
    values: dict[tuple[str, ...], list[str]] = {}
    for node in fleet.nodes:
        labels = seen_labels(node)
        values.setdefault(tuple(labels.get(key, "") for key in budget.group_by), []).append(node.name)
    for those, names in values.items():
        told = [f"{key}={value}" if value else f"no {key}" for key, value in zip(budget.group_by, those, strict=True)]
        lacking = tuple(key for key, value in zip(budget.group_by, those, strict=True) if not value)
        yield NodeGroup(", ".join(told) or "the fleet", tuple(names), budget.allowed(len(names)), lacking)


def _servers(cluster: Cluster) -> NodeGroup:
    """As many may be away as the quorum can spare. Where it can spare none, one at a time is the best there is."""
    spare = max(1, len(cluster.servers) - cluster.quorum)
    return NodeGroup(f"servers of cluster {cluster.name}", cluster.servers, spare, is_quorum=True)
