"""The embedded engine: `decide` driven by a journal on this machine, one thread for each running batch.

A step is decided, kept in one transaction, and only then carried out and shown. A controller that dies leaves its open
batches in the journal; `resume` asks for them again with the epoch of its own lease, and `run_batch` is idempotent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from secrets import token_hex

from msgspec.structs import replace

from fleet.decide import after, initial, supersedes, undoing
from fleet.engine.crew import NO_GATES, Adopting, Bell, Crew
from fleet.engine.drive import Drive, Incoming, inbox, sent_by
from fleet.engine.fitting import NOTHING_LEFT
from fleet.engine.heartbeat import BEAT_SECONDS, Heartbeat
from fleet.engine.rollouts import LocalRollouts, load
from fleet.errors import BusyError, UsageError
from fleet.model.event import Event, NodeApplied, RolloutWithdrawn
from fleet.model.rollout import ENDED, RolloutOrder, RolloutState
from fleet.model.signal import Begin, Resume, Supersede, TakeOver, Tick
from fleet.ports.applier import Applier
from fleet.ports.gates import Gates
from fleet.ports.journal import Journal, Lease
from fleet.ports.records import Records

TAKE_OVER = "fleet apply --supersede ends what it rolls out, and takes over what has not begun."


class LocalEngine(LocalRollouts):
    """Implements `fleet.ports.engine.Engine`. Drives one rollout at a time; `stop` may come from a signal handler.

    A generator that is closed early is a watcher that went away: that is `stop`, and closing returns when the running
    batches are over and their results are kept. One that is left unread starts nothing new, and loses nothing.

    When the applier itself fails (not a node of its batch), the batch goes back to be run again, the rollout pauses,
    and the applier's error is raised after `RolloutPaused`: `resume` goes on once its cause is mended.
    """

    def __init__(  # noqa: PLR0913 - four ports, and how often to look
        self,
        journal: Journal,
        applier: Applier,
        records: Records,
        *,
        gates: Callable[[], Gates] = lambda: NO_GATES,
        poll_seconds: float = 1.0,
        beat_seconds: float = BEAT_SECONDS,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: token_hex(4),
    ) -> None:
        """Looks into the inbox every `poll_seconds`, and renews its lease every `beat_seconds`. `now` in seconds since 1970.
        `gates` makes those of one rollout: once they were told to stop, they ask nothing any more.
        """
        super().__init__(journal, now)
        self._new_id = new_id
        self._applier = applier
        self._records = records
        self._gates = gates
        self._poll_seconds = poll_seconds
        self._beat_seconds = beat_seconds
        self._bell = Bell()
        self._stops = 0
        self._was_stopped = False

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        """Older rollouts that it `supersedes` end first: what runs of them is waited for, and what that brought is not brought
        again. Raises `BusyError` while another controller rolls, `RefusedError` for waves that part a cluster
        wrongly.
        """
        initial(order)
        lease = self._lease(order.controller)
        with self._heartbeat(lease) as heartbeat:
            for summary in self._journal.rollouts():
                if summary.status in ENDED:
                    continue
                older = load(self._journal, self._journal.order(summary.id))
                if supersedes(order, older):
                    order = yield from self._superseded(heartbeat, older, order)
                    if self._was_stopped:
                        return
            yield from self._begun(heartbeat, order)

    def resume(self, rollout_id: str) -> Iterator[Event]:
        """What came into the inbox meanwhile is heard first: a cancel wins over going on."""
        order = self._journal.order(rollout_id)
        lease = self._journal.acquire(order.controller)
        with self._heartbeat(lease) as heartbeat:
            state = load(self._journal, order)
            if state.has_ended:
                raise UsageError(
                    f"rollout {rollout_id} is {state.status}: there is nothing left to go on with",
                    hint=NOTHING_LEFT.format(id=rollout_id),
                )
            if state.status == "new":
                signals = [Incoming(Begin(lease.epoch))]
            else:
                waiting = inbox(self._journal, rollout_id)
                signals = [
                    Incoming(TakeOver(lease.epoch, order.controller)),
                    *waiting,
                    Incoming(Resume()),
                    Incoming(Tick()),
                ]
            # What is to be rolled back is not begun any more, either.
            is_ending = state.status == "withdrawing" or self.is_ending(rollout_id)
            applier = Adopting(self._applier) if is_ending else None
            yield from self._and_back(heartbeat, state, signals, applier)

    def roll_back(self, rollout_id: str, only: Collection[str] = ()) -> Iterator[Event]:
        """Ends a rollout that has not ended, as a newer one that supersedes it does, and brings back what it brought the nodes
        `only` (none: all): in a rollout of its own. They are held back from then on, also where nothing has to go back.
        """
        order = self._journal.order(rollout_id)
        lease = self._lease(order.controller)
        with self._heartbeat(lease) as heartbeat:
            state, by = load(self._journal, order), self._new_id()
            if not state.has_ended:
                yield from self._superseded(heartbeat, state, replace(order, id=by))
                if self._was_stopped:
                    return
            yield from self._back(heartbeat, order, by, only)

    def _begun(self, heartbeat: Heartbeat, order: RolloutOrder) -> Iterator[Event]:
        self._journal.begin(heartbeat.lease, order)
        yield from self._and_back(heartbeat, initial(order), [Incoming(Begin(heartbeat.lease.epoch))])

    def _and_back(
        self, heartbeat: Heartbeat, state: RolloutState, signals: Iterable[Incoming], applier: Applier | None = None
    ) -> Iterator[Event]:
        """A rollout, and the one that rolls it back where its policy says so."""
        last = yield from self._driven(heartbeat, state, signals, applier)
        if isinstance(last, RolloutWithdrawn) and not self._was_stopped:
            yield from self._back(heartbeat, state.order, self._new_id())

    def _back(self, heartbeat: Heartbeat, order: RolloutOrder, by: str, only: Collection[str] = ()) -> Iterator[Event]:
        undo = undoing(load(self._journal, order), by, only)
        held = {name: digest for name, digest in sent_by(order).items() if not only or name in only}
        with self._journal.together():
            self._records.hold_back(held, order.id, heartbeat.lease)
            if undo:
                self._journal.begin(heartbeat.lease, undo)
        if undo:
            yield from self._driven(heartbeat, initial(undo), [Incoming(Begin(heartbeat.lease.epoch))])

    def _superseded(
        self, heartbeat: Heartbeat, older: RolloutState, newer: RolloutOrder
    ) -> Generator[Event, None, RolloutOrder]:
        """Ends an older rollout, and returns the newer one as it is to be begun after that."""
        nodes = {node.name: node for node in older.order.nodes}
        flying = {
            name: nodes[name].base if batch.is_back else nodes[name].wanted
            for batch in older.running
            for name in batch.nodes
        }
        signals = [
            Incoming(each) for each in (TakeOver(heartbeat.lease.epoch, newer.controller), Supersede(newer.id), Tick())
        ]
        applied = set()
        for event in self._driven(heartbeat, older, signals, Adopting(self._applier)):
            if isinstance(event, NodeApplied):
                applied.add(event.node)
            yield event
        return after(newer, flying, applied)

    def stop(self) -> None:
        self._stops += 1
        self._bell.put(None)

    def _lease(self, controller: str) -> Lease:
        try:
            return self._journal.acquire(controller)
        except BusyError as error:
            raise BusyError(error.message, f"{error.hint} {TAKE_OVER}".strip()) from error

    def _heartbeat(self, lease: Lease) -> Heartbeat:
        return Heartbeat(self._journal, lease, wake=lambda: self._bell.put(None), every=self._beat_seconds)

    def _driven(
        self, heartbeat: Heartbeat, state: RolloutState, signals: Iterable[Incoming], applier: Applier | None = None
    ) -> Generator[Event, None, Event | None]:
        """Returns the last event."""
        self._bell = Bell()
        event = None

        def elsewhere() -> None:
            self._cancel_others(heartbeat.lease, state.order.id)

        crew = Crew(applier or self._applier, self._gates(), state.order.forks, self._bell)
        drive = Drive(
            self._journal, self._records, crew, heartbeat, stops=lambda: self._stops, elsewhere=elsewhere, now=self._now
        )
        events = drive.run(state, signals, self._poll_seconds)
        try:
            for event in events:
                yield event
            elsewhere()
        except GeneratorExit:
            self.stop()
            deque(events, maxlen=0)
            raise
        finally:
            crew.dismiss()
            self._was_stopped = self._stops > 0
            self._stops = 0
        return event
