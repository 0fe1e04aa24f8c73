"""One rollout decided from its beginning to its end, with no journal and no work: `python deciding.py NODES`.

Ten waves of clusters with a server and three agents, one of each site away at once, windows in five time zones, a soak after
each wave, and one node in a thousand offline. Prints JSON: CPU seconds of `decide` and `evolve`, nodes that came through,
and kilobytes of memory at the most. Ends with 1 where a decision changed the state that it was given.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import deque
from decimal import Decimal
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial, snapshot
from fleet.model.batch import NodeResult
from fleet.model.effect import RunBatch
from fleet.model.rollout import GroupBudget, RolloutOrder, RolloutState, WaveOrder
from fleet.model.signal import BatchFinished, Begin, Signal, Tick
from fleet.model.window import Schedule, Timing
from fleet.testing.orders import cluster, rollout

WAVES, NODES_OF_A_SITE, LOOKS = 10, 4, 100
ZONES = ("Europe/Dublin", "Australia/Lord_Howe", "America/New_York", "Asia/Tokyo", "UTC")
BEGIN = 1_772_409_600.0
"""2026-03-02T00:00Z."""


def order_of(nodes: int) -> RolloutOrder:
    sites = [cluster(f"c{at}", 1, NODES_OF_A_SITE - 1, "b1:old") for at in range(nodes // NODES_OF_A_SITE)]
    ruled = [replace(node, groups=(node.site,)) for site in sites for node in site]
    size = len(sites) // WAVES * NODES_OF_A_SITE
    parts = [ruled[at * size : (at + 1) * size] for at in range(WAVES - 1)] + [ruled[(WAVES - 1) * size :]]
    waves = (WaveOrder(f"w{at}", tuple(part), Decimal(95), Decimal(50)) for at, part in enumerate(parts))
    zones = {site[0].site: ZONES[at % len(ZONES)] for at, site in enumerate(sites)}
    timing = Timing(Schedule("0 2 * * *", 7 * 3600.0), zones, soak=60.0, deadline=1800.0, offline_after=86400.0)
    budgets = tuple(GroupBudget(site[0].site, 1) for site in sites)
    return replace(
        rollout(forks=500, batch_size=50), waves=tuple(waves), policy="standard", budgets=budgets, offline="defer",
        stop_at=nodes, timing=timing,
    )  # fmt: skip


class Run:
    def __init__(self, order: RolloutOrder) -> None:
        self.state = initial(order)
        self.batches: deque[RunBatch] = deque()
        self.wake_at: float | None = None
        self.cpu = 0.0
        self.decisions = 0

    def hear(self, signal: Signal) -> None:
        self.decisions += 1
        looks = self.decisions % LOOKS == 0
        before = told(self.state) if looks else b""
        began = time.process_time()
        decision = decide(self.state, signal)
        after = evolve_all(self.state, decision.events)
        self.cpu += time.process_time() - began
        if looks and told(self.state) != before:
            raise SystemExit("a decision changed the state that it was given")
        self.state, self.wake_at = after, decision.wake_at
        self.batches += decision.effects

    def finish(self) -> None:
        now = BEGIN
        self.hear(Begin(1, at=now))
        while self.batches or self.wake_at is not None:
            if not self.batches:
                now = self.wake_at or now
                self.hear(Tick(at=now))
                continue
            order = self.batches.popleft().order
            now += 0.5
            away = self.decisions % 20 == 0
            results = (
                NodeResult(name, "unreachable" if away and not at else "applied", digest=order.wanted[name])
                for at, name in enumerate(order.nodes)
            )
            self.hear(BatchFinished(order.batch_id, tuple(results), at=now))


def told(state: RolloutState) -> bytes:
    """All of a state that is not its order."""
    whole = msgspec.json.encode(snapshot(state)) + f"{state.ready:x} {state.in_flight:x}".encode()
    return sha256(whole).digest()


if __name__ == "__main__":
    it = Run(order_of(int(sys.argv[1])))
    it.finish()
    counts = it.state.counts()
    if it.state.status != "finished" or counts.failed or counts.waiting:
        raise SystemExit(f"it is {it.state.status}: {counts}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"cpu": it.cpu, "nodes": len(it.state.layout.nodes), "kilobytes": peak}))
