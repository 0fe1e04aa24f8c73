from __future__ import annotations

import threading
from collections.abc import Mapping

from fleet.errors import FleetError, StoppedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.record import Record

HOLD_SECONDS = 10.0


class MemoryApplier:
    """Brings each node to its `wanted` digest at once, or back to the order's `undo`; `digests` says what nodes hold.

    `results` overrides what comes of a node, `errors` (by batch id, used up by the first run) what the applier itself
    raises. `orders` holds every order that really ran; one that had ended before is only answered again. While
    `hold()` is in force, batches wait for `let_go`, though not for ever: a test that fails is to end.
    """

    def __init__(self, wanted: Mapping[str, str], results: Mapping[str, NodeResult] | None = None) -> None:
        self.wanted = dict(wanted)
        self.results = dict(results or {})
        self.errors: dict[str, FleetError] = {}
        self.orders: list[BatchOrder] = []
        self.digests: dict[str, str] = {}
        self.stopped = False
        self._finished: dict[str, BatchResult] = {}
        self._lock = threading.Lock()
        self._gate = threading.Event()
        self._gate.set()
        self._running = threading.Semaphore(0)

    def run_batch(self, order: BatchOrder) -> BatchResult:
        with self._lock:
            if order.batch_id in self._finished:
                return self._finished[order.batch_id]
            self.orders.append(order)
            error = self.errors.pop(order.batch_id, None)
        self._running.release()
        self._gate.wait(HOLD_SECONDS)
        if self.stopped:
            raise StoppedError(f"batch {order.batch_id} was ended")
        if error:
            raise error
        result = BatchResult(order.batch_id, tuple(self._bring(order, node) for node in order.nodes))
        with self._lock:
            self._finished[order.batch_id] = result
        return result

    def stop_now(self) -> None:
        self.stopped = True
        self._gate.set()

    def hold(self) -> None:
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    def await_running(self, seconds: float = 10.0) -> None:
        """Returns when one more batch has begun. Raises `TimeoutError`."""
        if not self._running.acquire(timeout=seconds):
            raise TimeoutError(f"no batch began within {seconds} s")

    def _bring(self, order: BatchOrder, node: str) -> NodeResult:
        if node in self.results:
            return self.results[node]
        digest = order.undo.get(node) or self.wanted[node]
        changed = int(self.digests.get(node, "") != digest)
        self.digests[node] = digest
        record = Record(node, "fleet", f"machine-of-{node}", digest, controller="memory", epoch=order.epoch)
        return NodeResult(node, "applied", changed=changed, digest=digest, record=record)
