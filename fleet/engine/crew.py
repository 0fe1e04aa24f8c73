"""The threads that carry out batches, and the bell that they ring."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from msgspec.structs import replace

from fleet.model.batch import BatchOrder, BatchResult
from fleet.ports.applier import Applier


class Done:
    """A batch that is over. `result` raises what the applier raised."""

    def __init__(self, order: BatchOrder, future: Future[BatchResult]) -> None:
        self.order = order
        self.result = future.result


Bell = SimpleQueue[Done | None]
"""Rung with a batch that is over, or with None: something else has happened, look up. Safe in a signal handler."""


class Adopting:
    """An applier that begins nothing any more: what is under way is waited for."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier

    def run_batch(self, order: BatchOrder) -> BatchResult:
        return self._applier.run_batch(replace(order, only_adopt=True))

    def stop_now(self) -> None:
        self._applier.stop_now()


class Crew:
    """One thread for each running batch, at most `hands` of them."""

    def __init__(self, applier: Applier, hands: int, bell: Bell) -> None:
        self.active: set[str] = set()
        self._applier = applier
        self._bell = bell
        self._pool = ThreadPoolExecutor(max_workers=hands, thread_name_prefix="batch")

    def start(self, order: BatchOrder) -> None:
        self.active.add(order.batch_id)
        future = self._pool.submit(self._applier.run_batch, order)
        future.add_done_callback(lambda over: self._bell.put(Done(order, over)))

    def wait(self, seconds: float) -> Done | None:
        """None: the bell was rung for another reason, or not at all in that time."""
        try:
            done = self._bell.get(timeout=seconds)
        except Empty:
            return None
        if done:
            self.active.discard(done.order.batch_id)
        return done

    def end_now(self) -> None:
        self._applier.stop_now()

    def dismiss(self) -> None:
        """What still runs is left to itself: the journal holds it as open."""
        self._pool.shutdown(wait=False, cancel_futures=True)
