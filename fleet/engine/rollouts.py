"""The part of the embedded engine that needs no hands: what anybody may ask of rollouts, and tell them.

Who drives a rollout is known by the lease: its epoch is the one that the rollout was begun or taken over with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial, restore
from fleet.engine.fitting import check_fits
from fleet.errors import BusyError, UnavailableError
from fleet.model.event import STATUS_AFTER, RolloutStarted, RolloutTakenOver
from fleet.model.rollout import ENDED, RolloutOrder, RolloutState, RolloutSummary
from fleet.model.signal import Cancel, Request, Signal, TakeOver
from fleet.ports.engine import Answer
from fleet.ports.journal import Entry, Journal, Lease, Step


class LocalRollouts:
    """Implements `fleet.ports.engine.Rollouts`, from the journal alone."""

    def __init__(self, journal: Journal, now: Callable[[], float] = time.time) -> None:
        """`now` in seconds since 1970."""
        self._journal = journal
        self._now = now
        self._epochs: dict[str, tuple[int, int]] = {}
        """How far each rollout was read, and the newest epoch up to there."""

    def signal(self, rollout_id: str, request: Request) -> Answer:
        order = self._journal.order(rollout_id)
        state = load(self._journal, order)
        request = replace(request, at=self._now())
        driver = self._holder(state.epoch)
        if isinstance(request, Cancel) and not driver:
            try:
                state = self._cancelled(order, request)
            except BusyError:
                driver = self.holder()  # that drives another one, and carries this out
            else:
                return Answer(
                    rollout_id,
                    "",
                    is_done=True,
                    status=state.status,
                    under_way=sum(len(batch.nodes) for batch in state.running),
                )
        check_fits(self._with_inbox(state), request)
        self._journal.post(rollout_id, request)
        return Answer(
            rollout_id,
            driver,
            is_done=False,
            status=state.status,
            under_way=sum(len(batch.nodes) for batch in state.running),
        )

    def events_after(self, rollout_id: str, seq: int = 0) -> Sequence[Entry]:
        found = self._journal.read(rollout_id, seq)
        if not found:
            self.last(rollout_id)
        self._note_epoch(rollout_id, seq, found)
        return found

    def last(self, rollout_id: str) -> Entry | None:
        found = self._journal.last(rollout_id)
        if found is None:
            self._journal.order(rollout_id)  # raises for one that is not known
        return found

    def driver(self, rollout_id: str) -> str:
        last = self.last(rollout_id)
        if last and STATUS_AFTER.get(type(last.event)) in ENDED:
            return ""  # its epoch may be that of who drives the one that came after
        self.events_after(rollout_id, self._epochs.get(rollout_id, (0, 0))[0])
        return self._holder(self._epochs[rollout_id][1])

    def holder(self) -> str:
        lease = self._journal.holder()
        return lease.controller if lease else ""

    def is_ending(self, rollout_id: str) -> bool:
        state = self._with_inbox(load(self._journal, self._journal.order(rollout_id)))
        return state.has_ended or state.status in ("cancelling", "superseding")

    def list(self) -> Sequence[RolloutSummary]:
        return self._journal.rollouts()

    def _cancel_others(self, lease: Lease, driven: str) -> None:
        """Carries out the cancels of rollouts that nobody drives: they wait for who has the lease, as it drives another."""
        for summary in self._journal.rollouts():
            if summary.id == driven or summary.status in ENDED:
                continue
            requests = [posted.request for posted in self._journal.posted(summary.id)]
            if cancel := next((request for request in requests if isinstance(request, Cancel)), None):
                # Without a TakeOver: it is ended, and not driven.
                self._told(lease, self._journal.order(summary.id), cancel)

    def _note_epoch(self, rollout_id: str, seq: int, entries: Sequence[Entry]) -> None:
        """What was read once need not be read again to know who drives it."""
        known, epoch = self._epochs.get(rollout_id, (0, 0))
        if seq > known:
            return
        for entry in entries[known - seq :]:
            known = entry.seq
            if isinstance(entry.event, RolloutStarted | RolloutTakenOver):
                epoch = entry.event.epoch
        self._epochs[rollout_id] = known, epoch

    def _holder(self, epoch: int) -> str:
        lease = self._journal.holder()
        return lease.controller if lease and lease.epoch == epoch else ""

    def _with_inbox(self, state: RolloutState) -> RolloutState:
        """The state as it will be once what waits in the inbox is heard."""
        for posted in self._journal.posted(state.order.id):
            state = evolve_all(state, decide(state, posted.request).events)
        return state

    def _cancelled(self, order: RolloutOrder, request: Request) -> RolloutState:
        """Nobody drives it, so this process takes the lease for as long as it takes to say so."""
        check_fits(load(self._journal, order), request)
        lease = self._journal.acquire(order.controller)
        try:
            return self._told(lease, order, TakeOver(lease.epoch, order.controller, at=request.at), request)
        finally:
            self._journal.release(lease)

    def _told(self, lease: Lease, order: RolloutOrder, *signals: Signal) -> RolloutState:
        """Nothing is carried out: a batch whose controller died stays open, for `resume` to find out how far it came. What
        else waits in the inbox means nothing any more.
        """
        state, step = load(self._journal, order), Step()
        for signal in signals:
            said = decide(state, signal)
            state = evolve_all(state, said.events)
            step = Step(step.events + said.events, step.effects + said.effects)
        handled = tuple(posted.id for posted in self._journal.posted(order.id))
        self._journal.append(lease, order.id, replace(step, handled=handled))
        return state


def load(journal: Journal, order: RolloutOrder) -> RolloutState:
    """How far a rollout had come. Raises `UnavailableError` for a journal that contradicts itself."""
    kept = journal.kept(order.id)
    state = restore(order, kept.snapshot) if kept else initial(order)
    state = evolve_all(state, (entry.event for entry in journal.read(order.id, after=kept.seq if kept else 0)))
    open_batches = {effect.order.batch_id for effect in journal.open_effects(order.id)}
    if open_batches != {batch.batch_id for batch in state.running}:
        raise UnavailableError(
            f"the journal of rollout {order.id} is damaged: its events and its open batches do not agree",
            hint="Start a new rollout: fleet plan --refresh asks the nodes what they hold.",
        )
    return state
