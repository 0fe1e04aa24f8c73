"""What is moved off a Node before it is touched: pods, what may be done to them, and what happened.

The rules are kubectl's: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_drain/
"""

from __future__ import annotations

from typing import Literal

import msgspec


class DrainRule(msgspec.Struct, frozen=True):
    """`timeout` in seconds, for the whole Node. `force`: pods that nothing brings back are taken, too; a
    PodDisruptionBudget is honoured all the same.

    `deletes_empty_dir`: pods are taken although what they wrote into an emptyDir goes with them, as the
    system-upgrade-controller does; K3s's own metrics-server has one.
    """

    timeout: float = 300.0
    force: bool = False
    deletes_empty_dir: bool = True


class Pod(msgspec.Struct, frozen=True):
    """`name` is NAMESPACE/NAME. `controller` is the kind of what brings it back, empty for a bare pod. A mirror pod is the
    shadow of a file on the Node; a finished one has succeeded or failed.
    """

    name: str
    uid: str
    controller: str = ""
    is_mirror: bool = False
    is_finished: bool = False
    has_empty_dir: bool = False
    is_ending: bool = False


class PodFate(msgspec.Struct, frozen=True):
    """`leave` and `refuse` have a reason."""

    what: Literal["evict", "leave", "refuse"]
    reason: str = ""


def fate(pod: Pod, rule: DrainRule) -> PodFate:
    """What a drain by this rule does with a pod."""
    if pod.is_mirror:
        return PodFate("leave", "a static pod of the node itself")
    if pod.is_finished:
        return PodFate("evict")
    if pod.controller == "DaemonSet":
        return PodFate("leave", "a DaemonSet keeps it there")
    if pod.has_empty_dir and not rule.deletes_empty_dir:
        return PodFate("refuse", "what it holds in an emptyDir would be lost")
    if not pod.controller and not rule.force:
        return PodFate("refuse", "no controller would bring it back")
    return PodFate("evict")


class PodLeft(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """Stays on the Node, as it should."""

    node: str
    pod: str
    reason: str


class PodEvicted(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """The API server has granted the eviction; the pod ends now, in its own time."""

    node: str
    pod: str


class PodHeld(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """The eviction is not granted now; it is asked for again. `budget` is the PodDisruptionBudget that holds the pod, empty
    where it is something else. Told once for each reason.
    """

    node: str
    pod: str
    budget: str
    reason: str


class PodGone(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    node: str
    pod: str


class NodeDrained(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """The last event of a drain that is done: `gone` pods have left."""

    node: str
    gone: int


class NodeNotDrained(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """The last event of one that is not: refused before any pod was touched, or out of time. The cordon stays.

    `reason` is one line that names the first pods and what holds them, `pods` names all that are left.
    """

    node: str
    reason: str
    pods: tuple[str, ...]


DrainEvent = PodLeft | PodEvicted | PodHeld | PodGone | NodeDrained | NodeNotDrained
