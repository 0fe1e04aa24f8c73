"""apply: a plan carried out as a rollout, as a generator of its events."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator

import msgspec

from fleet.errors import RefusedError
from fleet.model.event import Event, NodeApplied, RolloutFinished
from fleet.model.learned import LearnedCluster
from fleet.model.node import Node
from fleet.model.plan import Plan
from fleet.model.rollout import RolloutOrder
from fleet.operations.intent import Intent
from fleet.operations.ordering import in_one, policed, wave_orders
from fleet.operations.preparing import check_vaults, keep_contents, refuse_dirty, refuse_missing_secrets
from fleet.operations.upkeep import UpkeepWish
from fleet.ports.engine import Engine
from fleet.ports.records import Records
from fleet.ports.secrets import Secrets


class ApplyOptions(msgspec.Struct, frozen=True):
    """`forks` nodes are in flight at most. `take_over` is the reason for overruling what nodes say they hold, `break_glass`
    that for overruling freezes. `one_wave` names the one wave in which all nodes go, as what comes after a rollout does.
    `rollout_id` is the rollout's, where it was told to somebody before; empty for any.
    """

    forks: int = 20
    take_over: str = ""
    allow_dirty: bool = False
    unenforced: bool = False
    wish: UpkeepWish = UpkeepWish()
    break_glass: str = ""
    one_wave: str = ""
    rollout_id: str = ""


class Hands(msgspec.Struct, frozen=True, eq=False):
    """What carries a plan out, and in whose name."""

    engine: Engine
    records: Records
    secrets: Secrets
    controller: str


def apply(intent: Intent, plan: Plan, hands: Hands, options: ApplyOptions) -> Iterator[Event]:
    """Carries out `plan`, which was just made from `intent`. Raises RefusedError before anything is touched."""
    check_ready(intent, plan, hands.secrets, options)
    if not plan.nodes:
        return
    keep_contents(intent, _changing(intent, plan), hands.records)
    order = order_of(intent, plan, hands.records, hands.controller, options)
    yield from learning(intent, hands.engine.roll(order), hands.records)


def check_ready(intent: Intent, plan: Plan, store: Secrets, options: ApplyOptions) -> None:
    """All for which a plan is not carried out. Opens the vaults that its nodes need."""
    refuse(intent, plan, options)
    check_vaults(intent, _changing(intent, plan), store)


def order_of(intent: Intent, plan: Plan, records: Records, controller: str, options: ApplyOptions) -> RolloutOrder:
    """What a rollout of `plan` is to do, under a new id."""
    nodes = _changing(intent, plan)
    contacts = records.contacts() if plan.away else {}
    # What nobody remembers to have answered is away from now on.
    waves, budgets = wave_orders(intent, plan, {name: contacts.get(name, options.wish.now) for name in plan.away})
    order = RolloutOrder(
        id=options.rollout_id or new_id(),
        fleet=plan.fleet,
        commit=plan.revision.commit,
        controller=controller,
        waves=in_one(options.one_wave, waves) if options.one_wave else waves,
        forks=options.forks,
        take_over=options.take_over,
        upkeep=any(node.settings.os.updates.are_wanted for node in nodes),
        updates_now=options.wish.updates_now,
        budgets=budgets,
        downloads=intent.fleet.downloads,
        break_glass=options.break_glass,
    )
    return policed(order, intent)


def new_id() -> str:
    """Of a rollout."""
    return secrets.token_hex(4)


def told_end(events: Iterator[Event]) -> Generator[Event, None, bool]:
    """Passes events on, and returns whether the rollout came to its end with every node."""
    last = None
    for last in events:
        yield last
    return isinstance(last, RolloutFinished)


def refuse(intent: Intent, plan: Plan, options: ApplyOptions) -> None:
    """Every reason not to carry out a plan that is not the plan's own: what it would need is missing."""
    if plan.refused:
        first = plan.refused[0]
        raise RefusedError(
            f"{len(plan.refused)} change(s) are refused, the first by {first.rule}: {first.subject}: {first.message}",
            first.hint or "fleet plan shows them all.",
        )
    if plan.unenforced and not options.unenforced:
        raise RefusedError(
            "the spec declares what is not enforced yet: " + "; ".join(plan.unenforced),
            "--unenforced applies the rest all the same.",
        )
    nodes = _changing(intent, plan)
    refuse_dirty(intent, nodes, allow_dirty=options.allow_dirty)
    refuse_missing_secrets(intent, nodes)


def _changing(intent: Intent, plan: Plan) -> list[Node]:
    changing = {change.node for change in plan.nodes}
    return [node for node in intent.fleet.nodes if node.name in changing]


def learning(intent: Intent, events: Iterator[Event], records: Records) -> Iterator[Event]:
    """Passes events on, and remembers that a cluster exists once its first server came through."""
    servers = {name: cluster for cluster in intent.fleet.clusters.values() for name in cluster.servers}
    for event in events:
        cluster = servers.pop(event.node, None) if isinstance(event, NodeApplied) else None
        if cluster is not None and not cluster.existed:
            records.learn_clusters({cluster.name: LearnedCluster(existed=True, datastore=cluster.datastore)})
        yield event
