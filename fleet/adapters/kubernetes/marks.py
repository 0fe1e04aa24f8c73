"""Labels and taints of a Node: what has to be written so that it has what the spec says, and others keep theirs.

Labels have an owner each (server-side apply). Taints are one atomic list in Kubernetes: to apply it would be to own it
whole, with what others put there. So ours are noted in an annotation, written together with the list, and only if nobody
has touched the Node since it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from fleet.adapters.kubernetes.nodes import OUR_TAINTS, REGISTRATION, WireNode, WireTaint
from fleet.errors import RefusedError
from fleet.model.cluster_node import FIELD_MANAGER, Taint


def our_labels(node: WireNode) -> frozenset[str]:
    """Keys that an earlier call applied and that are still ours."""
    ours = (
        each for each in node.metadata.managed_fields if each.manager == FIELD_MANAGER and each.operation == "Apply"
    )
    return frozenset(
        key.removeprefix("f:")
        for each in ours
        for key in each.fields.get("f:metadata", {}).get("f:labels", {})
        if key != "."
    )


def labels_to_drop(node: WireNode, wanted: Mapping[str, str], given: Collection[str] = ()) -> list[str]:
    """Ours no longer, and not to go by themselves: the node's own registration set them, too, or it alone (`given`). A label
    that somebody else set besides us stays.
    """
    gone = sorted((our_labels(node).union(given) - wanted.keys()) & node.metadata.labels.keys())
    return [key for key in gone if _others(node, key) and _others(node, key) <= REGISTRATION]


def check_labels(node: WireNode, wanted: Mapping[str, str]) -> bool:
    """Whether a label has to be taken over from the node's own registration. RefusedError where it is somebody else's."""
    differ = sorted(key for key, value in wanted.items() if node.metadata.labels.get(key, value) != value)
    for key in differ:
        if strangers := sorted(_others(node, key) - REGISTRATION):
            name = node.metadata.name
            raise RefusedError(
                f"the label {key} of the Node {name} is {node.metadata.labels[key]!r} by {', '.join(strangers)}, "
                f"and {wanted[key]!r} in the spec",
                f"take it out of the spec, or leave it to fleet: kubectl label node {name} {key}-",
            )
    return any(_others(node, key) for key in differ)


def are_applied(node: WireNode, wanted: Mapping[str, str]) -> bool:
    return our_labels(node) == wanted.keys() and wanted.items() <= node.metadata.labels.items()


def taints_patch(node: WireNode, texts: Sequence[str], given: Collection[str] = ()) -> dict[str, Any] | None:
    """A merge patch, or None where nothing is to be done. RefusedError where another one has the same key and effect.

    `given` are taints that the node's own registration may have set: ours as well.
    """
    wanted = {_place(taint): taint for taint in map(Taint.parse, texts)}
    noted = node.metadata.annotations.get(OUR_TAINTS, "")
    before = set(map(Taint.parse, [*filter(None, noted.split(",")), *given]))
    for each in node.spec.taints:
        place = _place(each.plain)
        if place in wanted and each.value != wanted[place].value and each.plain not in before:
            raise RefusedError(
                f"the Node {node.metadata.name} has the taint {each.plain}, which fleet did not set, and the spec says "
                f"{wanted[place]}",
                f"take one of them out: kubectl taint node {node.metadata.name} {each.key}:{each.effect}-",
            )
    kept = [each for each in node.spec.taints if _stays(each, wanted, before)]
    there = {_place(each.plain) for each in kept}
    added = [WireTaint(taint.key, taint.value, taint.effect) for place, taint in wanted.items() if place not in there]
    note = ",".join(map(str, sorted(wanted.values())))
    if not added and len(kept) == len(node.spec.taints) and note == noted:
        return None
    return {
        "metadata": {"resourceVersion": node.metadata.resource_version, "annotations": {OUR_TAINTS: note or None}},
        "spec": {"taints": msgspec.to_builtins([*kept, *added])},
    }


def _stays(taint: WireTaint, wanted: Mapping[tuple[str, str], Taint], before: Collection[Taint]) -> bool:
    place = _place(taint.plain)
    return wanted[place] == taint.plain if place in wanted else taint.plain not in before


def _place(taint: Taint) -> tuple[str, str]:
    return taint.key, taint.effect


def _others(node: WireNode, key: str) -> set[str]:
    return {each.manager for each in node.owners("metadata", "labels", key) if each.manager != FIELD_MANAGER}
