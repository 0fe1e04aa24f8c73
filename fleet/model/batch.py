"""A batch: the nodes that one Ansible run brings forward, and what came of each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fleet.model.record import ArchName, MachineId, Record

Outcome = Literal["applied", "failed", "unreachable"]


class BatchOrder(msgspec.Struct, frozen=True):
    """`batch_id` is unique in the fleet (`ROLLOUT-0001`); `epoch` is the controller lease's; `nodes` are names.

    `expect` maps a node to the digest that it must hold before ("" for a node without a record), or to several, joined by
    commas; `wanted` to the one that it is brought to. `upkeep`: OS updates are taken, also where none are due with
    `updates_now`. `reboot_until` maps a node to the time (seconds since 1970) after which a reboot that is due may not begin
    any more; a node that is not there is not rebooted. A run that takes longer than `deadline` seconds is ended, and its nodes
    that have no result have failed; 0: it takes as long as it takes.
    `only_adopt`: nothing is begun any more, what is under way is waited for. `undo` maps a node to the digest of a bundle that
    it held before, and is brought back to with what it kept of that; such a node gets no packages, users and updates.
    """

    batch_id: str
    rollout_id: str
    epoch: int
    nodes: tuple[str, ...]
    expect: dict[str, str] = {}
    take_over: str = ""
    upkeep: bool = False
    updates_now: bool = False
    reboot_until: dict[str, float] = {}
    wanted: dict[str, str] = {}
    deadline: float = 0.0
    only_adopt: bool = False
    undo: dict[str, str] = {}


class NodeResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """`reason` is the node's own words, one line, without a secret; `changed` counts changed paths and units, `updated`
    packages that OS updates changed.
    """

    node: str
    outcome: Outcome
    changed: int = 0
    digest: str = ""
    reason: str = ""
    record: Record | None = None
    restarted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    updated: int = 0
    rebooted: bool = False


class BatchResult(msgspec.Struct, frozen=True):
    """One result for each node of the order, in its order. Not `is_begun`: it was only to be adopted, and no node was touched."""

    batch_id: str
    results: tuple[NodeResult, ...]
    is_begun: bool = True


class NodeTask(msgspec.Struct, frozen=True):
    """What is done to nodes outside a rollout, by a playbook of its own. `variables` are the playbook's."""

    playbook: Literal["adopt", "retire", "probe"]
    variables: dict[str, Any] = {}
    expect: dict[str, str] = {}
    """A node's digest that it must hold, "" for a node without a record."""


class NodeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a task on one node. `result` is the module's; `step` and `at` say where it failed."""

    node: str
    outcome: Literal["done", "failed", "unreachable"]
    reason: str = ""
    step: str = ""
    at: str = ""
    result: dict[str, Any] = {}
    began: float = 0.0
    ended: float = 0.0
    """When the task ran, by the controller's clock in seconds since 1970; 0 where that is not known."""


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a look at one node found: its record (None: it never had one), or why it could not be reached."""

    node: str
    record: Record | None = None
    machine_id: MachineId = ""
    arch: ArchName = ""
    unreachable: str = ""
    differs: tuple[str, ...] = ()
    """Paths whose content on disk is not what the record's manifest says."""
