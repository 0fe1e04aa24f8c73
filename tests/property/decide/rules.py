"""What a rollout under a policy may do, judged from its events alone: shares nothing with the state of `decide`.

Windows open daily at a full hour of a zone with a fixed offset: what is open is told by sums, not by a calendar.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.gate import GateAnswer, asks_each_node
from fleet.model.rollout import GroupBudget, RolloutNode, RolloutOrder, WaveOrder

FINAL = {
    ev.NodeApplied: "applied",
    ev.NodeFailed: "failed",
    ev.NodeUnhealthy: "failed",
    ev.NodeUnreachable: "unreachable",
    ev.NodeBlocked: "blocked",
}
ENDS = (ev.RolloutFinished, ev.RolloutHalted, ev.RolloutCancelled, ev.RolloutSuperseded, ev.RolloutWithdrawn)
STOPPED = (ev.RolloutCancelled, ev.RolloutSuperseded, ev.RolloutWithdrawn)
DAY, HOUR = 86400, 3600


class Rules:
    """Events are written one by one; each is checked against what was written before it."""

    def __init__(self, order: RolloutOrder) -> None:
        self.order = order
        self.nodes = {node.name: node for node in order.nodes}
        self.wave_of = {node.name: at for at, wave in enumerate(order.waves) for node in wave.nodes}
        self.final: dict[str, str] = {}
        self.flying: dict[str, str] = {}
        self.begun = -1
        self.forgiven: set[str] = set()
        self.failed_waves: set[int] = set()
        self.is_quiet = False
        self.is_held = False
        self.why_paused = ""
        self.over: Event | None = None
        self.now = 0.0
        self.offsets = {node.name: _offset(order, node) for node in order.nodes}
        self.since = {gone.name: gone.since for group in order.budgets for gone in group.away}
        self.since |= {node.name: node.away_since for node in order.nodes if node.is_away}
        self.finished_waves: set[int] = set()
        self.soaks: dict[int, float] = {}
        self.asked: set[int] = set()
        self.approved: set[int] = set()
        self.next_start = 0.0
        self.waits_until: float | None = None
        self.checking: str | None = None
        self.answers: list[GateAnswer] = []
        """What gates said just now."""
        self.passed: set[tuple[str, int]] = set()
        """Where the gates let the rollout go on, also those that the policy bears."""
        self.doubted: set[tuple[str, int]] = set()
        self.asking: set[str] = set()
        self.proven: set[str] = set()
        """Nodes that gates after a wave are, and were, asked about."""
        self.returning: dict[str, str] = {}
        self.unhealthy: set[str] = set()
        self.undone: set[str] = set()
        self.stuck: set[str] = set()
        """Nodes that are on their way back, that a gate was against, that are back, and that could not go back."""
        self.begun_once: set[str] = set()
        self.is_withdrawn = False

    def write(self, event: Event, now: float = 0.0) -> None:
        """`now` is when it was decided."""
        assert self.over is None, "nothing happens after the end"
        self.now = now
        match event:
            case ev.WaveStarted():
                assert event.index == self.begun + 1
                assert self.begun < 0 or self.begun in self.finished_waves, "no wave before the one before is over"
                wave = self.order.waves[event.index]
                assert not (wave.needs_approval and wave.nodes) or event.index in self.approved, "nobody approved"
                assert not self._is_gated("before", event.index) or ("before", event.index) in self.passed, "its gates"
                self.begun = event.index
            case ev.GatesAsked():
                self._check_asked(event)
            case ev.GatesPassed() | ev.GatesFailed():
                self._hear_gates(event)
            case ev.ApprovalAwaited():
                assert event.index not in self.asked, "nobody is asked twice"
                assert event.index == self.begun + 1
                self.asked.add(event.index)
            case ev.WaveApproved():
                assert event.index in self.asked
                self.approved.add(event.index)
            case ev.WaveSoaking():
                assert event.index == self.begun
                assert event.until == now + self.order.timing.soak
                self.soaks[event.index] = event.until
            case ev.WaitStarted():
                assert not self.flying
                assert not self.returning
                assert event.until > now
                self.waits_until = event.until
            case ev.NodesLongOffline():
                for name in event.nodes:
                    assert now >= self.since[name] + self.order.timing.offline_after
            case ev.SupersedeRequested():
                self.is_quiet, self.is_held, self.checking = True, False, None
            case ev.RollbackRequested():
                assert self.order.on_failure == "rollback"
                assert event.reason
                assert self.failed_waves or self._too_many_failed()
                assert set(self.final.values()) & {"applied", "failed"}, "there is something to bring back"
                self.is_quiet = self.is_withdrawn = True
                self.checking = None
            case ev.WaveFailed():
                self._check_failed(event.index)
                self.failed_waves.add(event.index)
            case ev.WaveFinished():
                self._check_finished(event.index)
            case ev.BatchStarted():
                self._check_start(event)
            case ev.BatchRequeued():
                self.flying = {name: batch for name, batch in self.flying.items() if batch != event.batch_id}
                self.returning = {name: batch for name, batch in self.returning.items() if batch != event.batch_id}
            case ev.NodesRollingBack():
                self._check_back(event)
            case ev.NodeRolledBack() | ev.NodeNotRolledBack():
                assert self.returning.pop(event.node) == event.batch_id
                (self.undone if isinstance(event, ev.NodeRolledBack) else self.stuck).add(event.node)
            case ev.NodeUnhealthy():
                assert self.final[event.node] == "applied"
                assert any(event.node in answer.ill for answer in self.answers)
                self.final[event.node] = "failed"
                self.unhealthy.add(event.node)
            case ev.NodeApplied() | ev.NodeFailed() | ev.NodeUnreachable() | ev.NodeBlocked():
                self._settle(event)
            case ev.PauseRequested() | ev.CancelRequested():
                self.is_quiet, self.checking = True, None
                self.is_held = isinstance(event, ev.PauseRequested) and event.by_policy
            case ev.RolloutPaused():
                assert not self.flying
                assert not self.returning
                assert event.reason
                self.why_paused = event.reason
            case ev.RolloutResumed():
                self._resume()
        if isinstance(event, ENDS):
            assert not self.flying
            assert not self.returning
            assert isinstance(event, STOPPED) or not self._owed(), "who was to go back is, or says why not"
            assert self.is_withdrawn == isinstance(event, ev.RolloutWithdrawn)
            assert isinstance(event, STOPPED) or len(self.final) == len(self.nodes)
            if isinstance(event, ev.RolloutFinished):
                assert "failed" not in self.final.values()
                assert not self.doubted, "a gate did not pass"
                last = len(self.order.waves) - 1
                is_unasked = self._is_gated("after", last) and last not in self.failed_waves
                assert not is_unasked, "gates were asked about every node, but where too few could be reached"
                assert self.order.offline == "defer" or set(self.final.values()) <= {"applied"}
            self.over = event

    def check_rest(self, wake_at: float | None) -> None:
        """After each decision: what may start has started, what is over has been said to be, and there is something that
        will go on: a batch, a time, or somebody who was asked.
        """
        if self.over or self.is_quiet:
            return
        is_asked = self.begun + 1 in self.asked - self.approved
        is_asked = is_asked or self.checking is not None
        assert self.flying or self.returning or is_asked or wake_at is not None, "it says what it waits for"
        assert wake_at is None or wake_at > self.now
        if self.begun < 0:
            assert is_asked
            return
        is_last = self.begun + 1 == len(self.order.waves)
        is_soaking = self.soaks.get(self.begun, 0) > self.now
        assert is_last or is_soaking or is_asked or not self.surely(self.begun, passes=True), "a healthy wave ends"
        if self._stops():
            assert not self.surely(self.begun, passes=False), "a wave that cannot pass stops the rollout"
        if self._has_hands() and self.now >= self.next_start:
            idle = [name for name in self.nodes if self._could_start(name)]
            assert not idle, f"{idle} could start"
        if self._has_hands():
            ill = [name for name in self._owed() if self._may_go_back(name)]
            assert not ill, f"{ill} could go back"

    def _has_hands(self) -> bool:
        return len(self.flying) + len(self.returning) < self.order.forks

    def _owed(self) -> set[str]:
        """Nodes that are to go back, and have not begun to."""
        if self.order.on_failure != "rollback":
            return set()
        owed = self.unhealthy - self.undone - self.stuck - self.returning.keys()
        return {name for name in owed if self.nodes[name].base}

    def _may_go_back(self, name: str) -> bool:
        node = self.nodes[name]
        busy = [self.nodes[other] for other in (*self.flying, *self.returning)]
        servers = [other for other in busy if other.role == "server"]
        if node.role == "server" and any(other.cluster == node.cluster for other in servers):
            return False
        ill = [self.nodes[other] for other in (*self._owed(), *self.returning)]
        if node.role == "agent" and any(one.role == "server" and one.cluster == node.cluster for one in ill):
            return False
        return all(self._under_way(group) < max(1, self._allowed(group)) for group in node.groups)

    def _check_back(self, event: ev.NodesRollingBack) -> None:
        assert not self.is_quiet, "a pause starts nothing new"
        assert 0 < len(event.nodes) <= self.order.batch_size
        for name in event.nodes:
            assert name in self._owed(), "who was ill, and once"
            assert self._may_go_back(name), "no more at once than may be away, servers one by one and first"
            self.returning[name] = event.batch_id
        assert len(self.flying) + len(self.returning) <= self.order.forks

    def surely(self, at: int, *, passes: bool) -> bool:
        """Whether every way in which the rest of a wave may end makes it pass, or none does."""
        wave = self.order.waves[at]
        names = [node.name for node in wave.nodes if node.name not in self.forgiven]
        count = Counter(self.final.get(name, "left") for name in names)
        if wave.success_threshold is None:
            return passes and not count["left"]
        return all(
            _passes(wave, count["applied"] + more, count["failed"] + worse, len(names)) == passes
            for more, worse in _endings(count["left"])
        )

    def away(self, group: GroupBudget, *, leeway: float = 0.0) -> set[str]:
        """Those that count. A node that went away may count for a sixteenth of `offlineAfter` longer than that."""
        inside = {name for name, node in self.nodes.items() if group.name in node.groups}
        failed = {name for name in inside if self.final.get(name) == "failed"} - self.undone
        gone = failed | {name for name in inside if name in self.flying}
        lost = {name for name in inside if self.final.get(name) == "unreachable" or self._was_away(name)}
        lost |= {gone.name for gone in group.away}
        after = self.order.timing.offline_after
        if after and not group.is_quorum:
            lost = {name for name in lost if self.now < self.since[name] + after * (1 + leeway)}
        return gone | lost

    def _was_away(self, name: str) -> bool:
        return self.nodes[name].is_away and self.final.get(name) != "applied" and name not in self.undone

    def _check_failed(self, at: int) -> None:
        assert at == self.begun
        assert at not in self.failed_waves, "a wave fails once, until somebody goes on"
        assert ("after", at) in self.doubted or self.surely(at, passes=False)

    def _stops(self) -> bool:
        """Whether a wave that fails stops the rollout, while there is something left of it."""
        return self.order.on_failure != "continue"

    def _too_many_failed(self) -> bool:
        failed = [name for name, kind in self.final.items() if kind == "failed" and name not in self.forgiven]
        return 0 < self.order.stop_at <= len(failed)

    def _is_gated(self, phase: str, at: int) -> bool:
        """Before a wave nothing asks nodes; after it there is something to ask where something was applied."""
        names = [node.name for node in self.order.waves[at].nodes]
        if phase == "before":
            return bool(names) and any(not asks_each_node(gate) for gate in self.order.gates)
        return bool(self.order.gates) and bool(self._unproven(at))

    def _unproven(self, at: int) -> set[str]:
        applied = {name for name, kind in self.final.items() if kind == "applied" and self.wave_of[name] <= at}
        return applied - self.proven

    def _check_asked(self, event: ev.GatesAsked) -> None:
        assert self.checking is None, "one check at a time"
        assert not self.is_quiet
        assert self._is_gated(event.phase, event.index)
        assert (event.phase, event.index) not in self.passed
        wave = self.order.waves[event.index]
        if event.phase == "before":
            assert event.index == self.begun + 1
            assert self.begun < 0 or self.begun in self.finished_waves
            assert not wave.needs_approval or event.index in self.approved, "a person first: it takes longer"
        else:
            assert event.index == self.begun
            assert self.begun not in self.failed_waves
            has_soaked = self.now >= self.soaks.get(self.begun, 0 if self._is_nothing_applied(self.begun) else math.inf)
            assert not self.order.timing.soak or has_soaked, "what has not soaked"
        self.checking = event.check_id
        self.asking = self._unproven(event.index) if event.phase == "after" else set()

    def _is_nothing_applied(self, at: int) -> bool:
        return not any(self.final.get(node.name) == "applied" for node in self.order.waves[at].nodes)

    def _hear_gates(self, event: ev.GatesPassed | ev.GatesFailed) -> None:
        assert event.check_id == self.checking
        self.checking = None
        place = event.phase, event.index
        is_good = all(answer.outcome == "passed" or answer.ill for answer in self.answers)
        assert is_good == isinstance(event, ev.GatesPassed)
        if isinstance(event, ev.GatesPassed) or event.is_borne:
            self.passed.add(place)
            self.proven |= self.asking
        if isinstance(event, ev.GatesPassed):
            self.doubted.discard(place)
        else:
            assert event.reason
            assert event.is_borne == (self.order.on_failure == "continue")
            self.doubted.add(place)

    def _check_finished(self, at: int) -> None:
        assert at == self.begun
        assert at not in self.finished_waves
        self.finished_waves.add(at)
        applied = [node for node in self.order.waves[at].nodes if self.final.get(node.name) == "applied"]
        is_lost = at in self.failed_waves and len(self.final) == len(self.nodes)
        if self.order.timing.soak and applied and not is_lost:
            assert self.now >= self.soaks[at], "it soaks first"
        if at not in self.failed_waves:
            assert not self._is_gated("after", at) or ("after", at) in self.passed, "its gates"
        left = [node.name for node in self.order.waves[at].nodes if node.name not in self.final]
        if at + 1 == len(self.order.waves):
            assert len(self.final) == len(self.nodes), "the last wave waits for all"
        elif at in self.failed_waves:
            assert not left or ("after", at) in self.doubted, "a wave that failed waits for its nodes"
            assert self.order.on_failure == "continue" or len(self.final) == len(self.nodes)
        else:
            assert self.surely(at, passes=True)

    def _check_start(self, event: ev.BatchStarted) -> None:
        assert not self.is_quiet, "a pause starts nothing new"
        assert 0 < len(event.nodes) <= self.order.batch_size
        assert not self._too_many_failed(), "so many failures start nothing new"
        if self._stops():
            assert not self.surely(self.begun, passes=False), "a wave that failed starts nothing new"
        for name in event.nodes:
            assert name not in self.final
            assert name not in self.flying
            assert self.wave_of[name] <= self.begun, "its wave has not come"
            assert self.is_open(name), "its window is shut"
            # What was begun before its server turned ill is run to its end.
            is_known = name in self.begun_once
            assert is_known or all(self.final.get(other) == "applied" for other in self._before(name))
            self.flying[name] = event.batch_id
            self.begun_once.add(name)
        assert len(self.flying) + len(self.returning) <= self.order.forks
        self._check_rate(event)
        busy = (self.nodes[name] for name in (*self.flying, *self.returning))
        servers = Counter(node.cluster for node in busy if node.role == "server")
        assert all(many == 1 for many in servers.values()), "one server of a cluster at a time"
        for group in self.order.budgets:
            took = [name for name in event.nodes if group.name in self.nodes[name].groups]
            if not all(self._counted(name, group, leeway=1 / 16) for name in took):
                assert len(self.away(group)) <= group.allowed, f"too many of {group.name} are away"
        tried = {group for name in event.nodes if self.nodes[name].is_away for group in self.nodes[name].groups}
        assert all(self._under_way(name) <= max(1, self._allowed(name)) for name in tried), (
            "they may be back, all of them"
        )

        assert not any(self._downloading(name, more=0) for name in event.nodes), (
            "a mirror, or a site's line, is stormed"
        )

    def _downloading(self, name: str, *, more: int) -> bool:
        """Whether, with so many `more`, too many nodes download beside one that does."""
        node, limits = self.nodes[name], self.order.downloads
        if not node.downloads:
            return False
        sites = [self.nodes[other].site for other in self.flying if self.nodes[other].downloads]
        return any(
            limit and many + more > limit
            for limit, many in ((limits.per_mirror, len(sites)), (limits.per_site, sites.count(node.site)))
        )

    def _check_rate(self, event: ev.BatchStarted) -> None:
        timing = self.order.timing
        if timing.rate:
            assert self.now >= self.next_start, "faster than its rate"
            rate = timing.rate * timing.rate_factor**self.begun
            assert len(event.nodes) <= max(1, rate)
            self.next_start = max(self.next_start, event.at) + len(event.nodes) * 60 / rate
        assert event.at == self.now

    def is_open(self, name: str) -> bool:
        schedule = self.order.timing.schedule
        if schedule is None:
            return True
        local = self.now + self.offsets[name] * HOUR
        last = local // DAY * DAY
        opens = int(schedule.at.split()[1]) * HOUR if schedule.at else 0
        for began in (last + opens, last + opens - DAY):
            length = schedule.seconds if schedule.at else math.inf
            if began <= local and local + schedule.needed <= min(began + length, self._frozen_from(local)):
                return not self._is_frozen(local)
        return False

    def _is_frozen(self, local: float) -> bool:
        assert self.order.timing.schedule
        day = datetime.fromtimestamp(local, UTC).date().isoformat()
        return any(freeze.first <= day <= freeze.last for freeze in self.order.timing.schedule.freezes)

    def _frozen_from(self, local: float) -> float:
        """The first midnight behind a moment at which a freeze begins."""
        assert self.order.timing.schedule
        starts = [datetime.fromisoformat(freeze.first).replace(tzinfo=UTC).timestamp()
                  for freeze in self.order.timing.schedule.freezes]  # fmt: skip
        return min((start for start in starts if start > local), default=math.inf)

    def _settle(self, event: ev.NodeEvent) -> None:
        assert event.node not in self.final, "one outcome a node"
        if not isinstance(event, ev.NodeBlocked):
            del self.flying[event.node]
            if isinstance(event, ev.NodeUnreachable):
                self.since.setdefault(event.node, event.at)
        else:
            assert event.node not in self.flying
            assert event.reason
            assert self._is_kept(event.node), "what is blocked could not start"
        self.final[event.node] = FINAL[type(event)]
        if isinstance(event, ev.NodeBlocked) and event.by in self.forgiven:
            self.forgiven.add(event.node)

    def _is_kept(self, name: str) -> bool:
        if any(self.final.get(other) not in (None, "applied") for other in self._before(name)):
            return True
        is_idle = not (self.flying or self.returning)
        return is_idle and any(self._is_full(group) for group in self.nodes[name].groups)

    def _is_full(self, name: str) -> bool:
        (group,) = [group for group in self.order.budgets if group.name == name]
        return len(self.away(group, leeway=1 / 16)) >= group.allowed

    def _could_start(self, name: str) -> bool:
        if name in self.final or name in self.flying or self.wave_of[name] > self.begun or not self.is_open(name):
            return False
        if not all(self.final.get(other) == "applied" for other in self._before(name)):
            return False
        if self._downloading(name, more=1):
            return False
        node, groups = self.nodes[name], self.nodes[name].groups
        back = [self.nodes[other] for other in self.returning]
        if node.role == "server" and any(other.role == "server" and other.cluster == node.cluster for other in back):
            return False
        if self._was_away(name) and any(self._under_way(group) >= max(1, self._allowed(group)) for group in groups):
            return False
        ours = [group for group in self.order.budgets if group.name in groups]
        return not any(self._is_full(group.name) for group in ours if not self._counted(name, group))

    def _counted(self, name: str, group: GroupBudget, *, leeway: float = 0.0) -> bool:
        """Whether the group's budget counts the node already, as one that is away: to try it takes nothing more. `leeway` as
        in `away`.
        """
        after = self.order.timing.offline_after
        is_long = after and not group.is_quorum and self.now >= self.since.get(name, 0.0) + after * (1 + leeway)
        return self.nodes[name].is_away and not is_long

    def _under_way(self, group: str) -> int:
        return sum(group in self.nodes[name].groups for name in (*self.flying, *self.returning))

    def _allowed(self, group: str) -> int:
        return next(budget.allowed for budget in self.order.budgets if budget.name == group)

    def _before(self, name: str) -> Iterator[str]:
        node = self.nodes[name]
        for other in self.nodes.values():
            if _comes_before(other, node, self._tried_first(node.cluster)):
                yield other.name

    def _tried_first(self, cluster: str) -> set[str]:
        """Servers of a cluster that are away, and without which its first one would wait for ever."""
        servers = [node for node in self.nodes.values() if cluster == node.cluster != "" and node.role == "server"]
        there = [node for node in servers if not node.is_away]
        if not there:
            return set()
        head = min(there, key=lambda node: node.rank)
        stuck = {name for name in head.groups if self._is_full_for_ever(name)}
        wave = min(self.wave_of[node.name] for node in servers)
        return {
            node.name
            for node in servers
            if node.is_away and self.wave_of[node.name] == wave and not stuck.isdisjoint(node.groups)
        }

    def _is_full_for_ever(self, name: str) -> bool:
        """As it was before anything began."""
        (group,) = [group for group in self.order.budgets if group.name == name]
        members = sum(node.is_away and name in node.groups for node in self.nodes.values())
        return members + len(group.away) >= group.allowed and (group.is_quorum or not self.order.timing.offline_after)

    def _resume(self) -> None:
        if self.is_held:
            self.forgiven = {name for name, kind in self.final.items() if kind != "applied"}
            self.failed_waves.discard(self.begun)
            self.doubted.discard(("after", self.begun))
        self.is_quiet = self.is_held = False


def _offset(order: RolloutOrder, node: RolloutNode) -> int:
    """Hours east of Greenwich: `Etc/GMT-9` is nine of them."""
    schedule = order.timing.schedule
    if schedule is None:
        return 0
    zone = order.timing.zones[node.site] if schedule.zone == "site" else schedule.zone
    return -int(zone.removeprefix("Etc/GMT"))


def _comes_before(first: RolloutNode, node: RolloutNode, tried: Collection[str]) -> bool:
    """`tried` are those that come before all others."""
    if first.role != "server" or node.role == "none" or first.cluster != node.cluster:
        return False
    return node.role == "agent" or (first.name not in tried, first.rank) < (node.name not in tried, node.rank)


def _endings(left: int) -> Iterator[tuple[int, int]]:
    """How many more succeed and fail of those that are left; the others are away, or blocked."""
    for more in range(left + 1):
        for worse in range(left - more + 1):
            yield more, worse


def _passes(wave: WaveOrder, succeeded: int, failed: int, total: int) -> bool:
    assert wave.success_threshold is not None
    assert wave.min_finished is not None
    ended = succeeded + failed
    has_enough = ended * 100 >= total * wave.min_finished
    return has_enough and succeeded * 100 >= ended * wave.success_threshold
