"""What becomes of a request to a rollout, as lines: what was done, then the next command to type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fleet.formats.words import count
from fleet.model.rollout import ENDED
from fleet.ports.engine import Answer
from fleet.report import Line, LineKind, clean

Asked = Literal["pause", "resume", "cancel", "approve"]
_UNDRIVEN = "nothing new starts until somebody goes on"


def answer_lines(asked: Asked, answer: Answer, again: Callable[[str], str]) -> list[Line]:
    """`again` makes the next command to type of its words (`Face.again`)."""
    name = answer.rollout_id
    running = count(answer.under_way, "node")
    if answer.driver:
        first = f"; {running} still running" if answer.under_way and asked in ("pause", "cancel") else ""
        watch = again(f"rollout watch {name}")
        return [
            _line(f"{answer.driver} is asked to {asked} rollout {name}{first}", "answer"),
            _line(f"{watch} shows what comes of it", "next"),
        ]
    resume = again(f"rollout resume {name}")
    if not answer.is_done:
        kept = ", and hears of the approval" if asked == "approve" else ""
        return [
            _line(f"nobody drives rollout {name}: {_UNDRIVEN}{kept}", "warning"),
            _line(f"{resume} goes on", "next"),
        ]
    if answer.status in ENDED:
        return [_line(f"rollout {name} is {answer.status}", "answer")]
    return [
        _line(f"rollout {name} is {answer.status}: nothing new starts", "answer"),
        _line(f"its controller died with {running} under way: {resume} finds out how far, and ends it", "next"),
    ]


def _line(text: str, kind: LineKind) -> Line:
    return Line(clean(text), kind)
