"""One drain: which pods go, who may not go yet, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fleet.adapters.kubernetes.answers import Answer
from fleet.adapters.kubernetes.connection import Call, Connection
from fleet.adapters.kubernetes.pods import PodList, plain
from fleet.model.drain import (
    DrainEvent,
    DrainRule,
    NodeDrained,
    NodeNotDrained,
    Pod,
    PodEvicted,
    PodFate,
    PodGone,
    PodHeld,
    PodLeft,
    fate,
)
from fleet.ports.clock import Clock

LOOK = 1.0
ASK_AGAIN = 5.0
"""Seconds, as kubectl: between two looks at the pods, and before an eviction that was not granted is asked for again."""
_NAMED = 3


class Eviction:
    """Of those pods of one Node that are there at its beginning, told apart by their uids."""

    def __init__(self, connection: Connection, clock: Clock, node: str, rule: DrainRule) -> None:
        self._connection = connection
        self._clock = clock
        self._node = node
        self._rule = rule
        self._asked: set[str] = set()
        self._held: dict[str, PodHeld] = {}
        self._again: dict[str, float] = {}

    def events(self) -> Iterator[DrainEvent]:
        ends = self._clock.now() + self._rule.timeout
        pods = self._pods()
        fates = {pod.uid: fate(pod, self._rule) for pod in pods.values()}
        if refused := [pod for pod in pods.values() if fates[pod.uid].what == "refuse"]:
            yield self._not_drained("nothing was evicted", refused, fates)
            return
        yield from (
            PodLeft(self._node, pod.name, fates[pod.uid].reason) for pod in pods.values() if fates[pod.uid].reason
        )
        going = {uid: pod for uid, pod in pods.items() if fates[uid].what == "evict"}
        all_of_them = len(going)
        while True:
            yield from self._gone(going)
            if not going:
                yield NodeDrained(self._node, all_of_them)
                return
            now = self._clock.now()
            if now >= ends:
                yield self._not_drained(f"not within {self._rule.timeout:g} s", list(going.values()), {})
                return
            for pod in list(going.values()):
                if pod.uid not in self._asked and not pod.is_ending and self._again.get(pod.uid, 0.0) <= now:
                    yield from self._ask(pod)
            self._clock.sleep(min(LOOK, max(0.0, ends - self._clock.now())))

    def _gone(self, going: dict[str, Pod]) -> Iterator[DrainEvent]:
        there = self._pods()
        for uid in [uid for uid in going if uid not in there]:
            yield PodGone(self._node, going.pop(uid).name)

    def _ask(self, pod: Pod) -> Iterator[DrainEvent]:
        namespace, _, name = pod.name.partition("/")
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}/eviction"
        body: dict[str, Any] = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        step = f"evict {pod.name} from the Node {self._node}"
        answer = self._connection.call(Call(step, "POST", path, body=body, takes={403, 404, 409, 429, 500}))
        if answer.is_good:
            self._asked.add(pod.uid)
            yield PodEvicted(self._node, pod.name)
        elif answer.code not in {404, 409}:  # gone, or another one of that name: the next look shows it
            yield from self._hold(pod, answer)

    def _hold(self, pod: Pod, answer: Answer) -> Iterator[DrainEvent]:
        self._again[pod.uid] = self._clock.now() + max(ASK_AGAIN, answer.retry_after)
        held = PodHeld(self._node, pod.name, answer.budget, answer.cause or answer.words)
        if self._held.get(pod.uid) != held:
            self._held[pod.uid] = held
            yield held

    def _pods(self) -> dict[str, Pod]:
        asked = {"fieldSelector": f"spec.nodeName={self._node}"}
        call = Call(f"list the pods of the Node {self._node}", "GET", "/api/v1/pods", asked)
        listed = self._connection.read(call, PodList) or PodList()
        found = sorted(map(plain, listed.items), key=lambda pod: pod.name)
        return {pod.uid: pod for pod in found}

    def _not_drained(self, why: str, pods: list[Pod], fates: dict[str, PodFate]) -> NodeNotDrained:
        named = [f"{pod.name} ({fates[pod.uid].reason if fates else self._what_holds(pod)})" for pod in pods[:_NAMED]]
        more = [f"and {len(pods) - _NAMED} more"] if len(pods) > _NAMED else []
        return NodeNotDrained(self._node, f"{why}: {', '.join([*named, *more])}", tuple(pod.name for pod in pods))

    def _what_holds(self, pod: Pod) -> str:
        held = self._held.get(pod.uid)
        if pod.uid in self._asked or pod.is_ending or held is None:
            return (
                "it was told to end and is still there" if pod.uid in self._asked or pod.is_ending else "not asked yet"
            )
        return f"PodDisruptionBudget {held.budget}: {held.reason}" if held.budget else held.reason
