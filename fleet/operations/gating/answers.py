"""What came of asking, in the words of an answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from fleet.formats.urls import secrets_in, shown
from fleet.formats.words import count
from fleet.model.gate import CommandGate, Gate, GateAnswer, HttpGate, NodeGate, PrometheusGate

Outcome = Literal["passed", "failed", "unknown"]
_MAX_NAME = 100


class Try(msgspec.Struct, frozen=True):
    """What came of the last try. `why` is empty where it passed; `is_final`: another one would find the same. `tries` counts
    them, `seconds` is how long this one took.
    """

    why: str = ""
    is_final: bool = False
    is_unknown: bool = False
    measured: str = ""
    seconds: float = 0.0
    tries: int = 1


def named(gate: Gate, wave: str = "") -> str:
    """What an answer calls it; of a URL neither the password nor what is behind the path."""
    match gate:
        case HttpGate() | PrometheusGate():
            kind = "http" if isinstance(gate, HttpGate) else "prometheus"
            return f"{kind} {shown(gate.url)}"
        case CommandGate():
            name = " ".join(shown(word.replace("{wave}", wave)) for word in gate.command)
            return f"command {name if len(name) <= _MAX_NAME else f'{name[: _MAX_NAME - 1]}…'}"
        case _:
            return "node" if isinstance(gate, NodeGate) else "cluster"


def cleared(gate: Gate, answer: GateAnswer) -> GateAnswer:
    """Without what is secret in the gate's URL: a server may say it again."""
    if not isinstance(gate, HttpGate | PrometheusGate):
        return answer
    secrets = sorted(secrets_in(gate.url), key=len, reverse=True)

    def clear(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "…")
        return text

    ill = {node: clear(why) for node, why in answer.ill.items()}
    return msgspec.structs.replace(
        answer, gate=clear(answer.gate), measured=clear(answer.measured), reason=clear(answer.reason), ill=ill
    )


def answer_of(gate: str, found: Try) -> GateAnswer:
    """The answer of a gate that asks one thing."""
    outcome: Outcome = "passed" if not found.why else "unknown" if found.is_unknown else "failed"
    tried = f"tried {count(found.tries, 'time')}" if found.tries > 1 else ""
    return GateAnswer(gate, outcome, ", ".join(filter(None, (found.measured, tried))), found.why)


def took(seconds: float) -> str:
    """`12 ms`, `0.2 s`, `12 s`."""
    if seconds < 0.095:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def of_each(gate: str, ill: dict[str, str], unknown: set[str], total: int, measured: str) -> GateAnswer:
    """The answer of a gate that asked each of `total` nodes; of those in `ill`, `unknown` could not be asked."""
    if not ill:
        return GateAnswer(gate, "passed", measured)
    kinds: dict[str, list[str]] = {}
    for node, why in ill.items():
        kinds.setdefault(why, []).append(node)
    why, those = max(kinds.items(), key=lambda each: len(each[1]))
    first = f"{min(those)}: {why}" if len(those) == 1 else f"{len(those):,} nodes, such as {min(those)}: {why}"
    more = f"; and {count(len(kinds) - 1, 'other reason')}" if len(kinds) > 1 else ""
    outcome: Outcome = "unknown" if unknown.issuperset(ill) else "failed"
    reason = f"{len(ill):,} of {count(total, 'node')} did not pass: {first}{more}"
    return GateAnswer(gate, outcome, measured, reason, dict(sorted(ill.items())))
