"""The threads that carry out batches, and the bell that they ring."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from msgspec.structs import replace

from fleet.model.batch import BatchOrder, BatchResult
from fleet.model.gate import GateAnswer, GateOrder
from fleet.ports.applier import Applier
from fleet.ports.gates import Gates


class Done:
    """A batch that is over. `result` raises what the applier raised."""

    def __init__(self, order: BatchOrder, future: Future[BatchResult]) -> None:
        self.order = order
        self.result = future.result


class Answered:
    """Gates that were asked. `result` raises what kept them from being asked."""

    def __init__(self, check_id: str, future: Future[Sequence[GateAnswer]]) -> None:
        self.check_id = check_id
        self.result = future.result


Bell = SimpleQueue[Done | Answered | None]
"""Rung with a batch that is over, gates that have answered, or with None: something else has happened, look up. Safe in a signal handler."""


class Adopting:
    """An applier that begins nothing any more: what is under way is waited for."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier

    def run_batch(self, order: BatchOrder) -> BatchResult:
        return self._applier.run_batch(replace(order, only_adopt=True))

    def stop_now(self) -> None:
        self._applier.stop_now()


class _NoGates:
    def ask(self, order: GateOrder) -> tuple[GateAnswer, ...]:
        return tuple(
            GateAnswer(str(gate.__struct_config__.tag), "unknown", reason="nobody asks it") for gate in order.gates
        )

    def stop_now(self) -> None:
        """Nothing is being asked."""


NO_GATES: Gates = _NoGates()
"""For rollouts without any: none of them passes."""


class Crew:
    """One thread for each running batch, at most `hands` of them, and one for gates."""

    def __init__(self, applier: Applier, gates: Gates, hands: int, bell: Bell) -> None:
        self.active: set[str] = set()
        self._applier = applier
        self._gates = gates
        self._bell = bell
        self._pool = ThreadPoolExecutor(max_workers=hands, thread_name_prefix="batch")
        self._asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gates")

    def start(self, order: BatchOrder) -> None:
        self.active.add(order.batch_id)
        future = self._pool.submit(self._applier.run_batch, order)
        future.add_done_callback(lambda over: self._bell.put(Done(order, over)))

    def ask(self, order: GateOrder) -> None:
        future = self._asking.submit(self._gates.ask, order)
        future.add_done_callback(lambda over: self._bell.put(Answered(order.check_id, over)))

    def wait(self, seconds: float) -> Done | Answered | None:
        """None: the bell was rung for another reason, or not at all in that time."""
        try:
            done = self._bell.get(timeout=seconds)
        except Empty:
            return None
        if isinstance(done, Done):
            self.active.discard(done.order.batch_id)
        return done

    def end_now(self) -> None:
        self._applier.stop_now()

    def dismiss(self) -> None:
        """What still runs is left to itself: the journal holds it as open."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._gates.stop_now()
