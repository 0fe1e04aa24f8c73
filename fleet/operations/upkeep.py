"""Upkeep of the OS beside bundles: which nodes are to be rebooted now, which later, which take updates in any case."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fleet.decide.windows import may_begin, opens_at
from fleet.model.change import Change, NodeChange
from fleet.model.node import Node
from fleet.operations.intent import Intent


class UpkeepWish(msgspec.Struct, frozen=True):
    """`now` in seconds since 1970. `updates_now`: nodes whose updates name no day take what there is today."""

    now: float = 0.0
    updates_now: bool = False


class Upkeep(msgspec.Struct, frozen=True):
    """`changes` by node; `later` are nodes whose reboot waits for its window, the first of which opens at `opens`."""

    changes: dict[str, tuple[Change, ...]] = {}
    later: tuple[str, ...] = ()
    opens: float = 0.0

    def beside(self, change: NodeChange) -> NodeChange:
        """What changes on a node, with what is due there."""
        due = self.changes.get(change.node, ())
        return msgspec.structs.replace(change, changes=change.changes + due) if due else change


def upkeep(intent: Intent, nodes: Iterable[Node], wish: UpkeepWish) -> Upkeep:
    """What is due on nodes that may well hold their bundle already."""
    changes: dict[str, tuple[Change, ...]] = {}
    later: list[str] = []
    opens: list[float] = []
    for node in nodes:
        updates = node.settings.os.updates
        if not updates.are_wanted or intent.is_waiting(node.name) or not intent.held(node.name):
            continue
        found = []
        if wish.updates_now and not updates.snapshot:
            found.append(Change("updates", "add", "OS updates", after=f"{updates.mode}, as of today"))
        if reason := _reboot_due(intent, node):
            if until(intent, node, wish.now) is not None:
                found.append(Change("reboot", "edit", "reboot", after=reason))
            else:
                later.append(node.name)
                opens += _next(intent, node, wish.now)
        if found:
            changes[node.name] = tuple(found)
    return Upkeep(changes, tuple(later), min(opens, default=0.0))


def until(intent: Intent, node: Node, now: float) -> float | None:
    """Until when a reboot of this node may begin; None where its window is shut, or it is never rebooted."""
    schedule = intent.fleet.schedule
    if schedule is None or node.settings.os.updates.reboot != "window":
        return None
    return may_begin(schedule, intent.fleet.sites[node.site].time_zone, now)


def _reboot_due(intent: Intent, node: Node) -> str:
    record = intent.records.get(node.name)
    if record is None or record.updates is None or node.settings.os.updates.reboot != "window":
        return ""
    return record.updates.reboot


def _next(intent: Intent, node: Node, now: float) -> list[float]:
    schedule = intent.fleet.schedule
    opens = None if schedule is None else opens_at(schedule, intent.fleet.sites[node.site].time_zone, now)
    return [] if opens is None else [opens]
