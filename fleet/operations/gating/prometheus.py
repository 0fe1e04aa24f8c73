"""Prometheus gates: one number within bounds."""

from __future__ import annotations

import math

from fleet.model.gate import GateAnswer, PrometheusGate
from fleet.model.inquiry import Sample
from fleet.operations.gating.answers import Try, answer_of, named
from fleet.operations.gating.crowd import Crowd
from fleet.operations.gating.scene import Scene
from fleet.ports.metrics import Metrics

_AGAIN = frozenset({"unreachable", "late", "broken", "unresolved"})


class PrometheusAsker:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def ask(self, gate: PrometheusGate, scene: Scene) -> GateAnswer:
        """Again only where no answer came: a value that is out of bounds is one that soaking has not mended."""

        def tries(_: None, left: float) -> Try:
            return _judged(gate, self._metrics.value(gate.url, gate.query, left))

        (found,) = Crowd(scene, gate.timeout, tries).ask([None], 1)
        return answer_of(named(gate), found)


def _judged(gate: PrometheusGate, sample: Sample) -> Try:
    warned = f" (Prometheus warns: {sample.warning})" if sample.warning else ""
    if sample.value is None:
        return Try(f"{sample.reason}{warned}", sample.trouble not in _AGAIN, is_unknown=True)
    why = _out_of_bounds(gate, sample.value)
    return Try(why, is_final=True, is_unknown=math.isnan(sample.value), measured=f"{sample.value:g}{warned}")


def _out_of_bounds(gate: PrometheusGate, value: float) -> str:
    """Infinity is what a division by nothing gives: it is within bounds only where one of them says so."""
    if math.isnan(value):
        return "the query gives NaN: there was nothing to divide, or nothing to average"
    if math.isinf(value) and value not in {gate.least, gate.most}:
        return f"the query gives {value:+g}, which no bound allows for"
    if gate.most is not None and value > gate.most:
        return f"{value:g} is more than {gate.most:g}"
    if gate.least is not None and value < gate.least:
        return f"{value:g} is less than {gate.least:g}"
    return ""
