"""What becomes of a request to a rollout, in words."""

from __future__ import annotations

import pytest

from fleet.cli.lines.answers import Asked, answer_lines
from fleet.ports.engine import Answer

GOES_ON = "fleet rollout resume 7f goes on"
WATCH = "fleet rollout watch 7f shows what comes of it"


@pytest.mark.parametrize(
    ("asked", "answer", "lines"),
    [
        (
            "pause",
            Answer("7f", "ops@hq", False, "running", 2),
            ["ops@hq is asked to pause rollout 7f; 2 nodes still running", WATCH],
        ),
        ("pause", Answer("7f", "ops@hq", False, "running"), ["ops@hq is asked to pause rollout 7f", WATCH]),
        (
            "cancel",
            Answer("7f", "ops@hq", False, "running", 1),
            ["ops@hq is asked to cancel rollout 7f; 1 node still running", WATCH],
        ),
        ("resume", Answer("7f", "ops@hq", False, "pausing", 1), ["ops@hq is asked to resume rollout 7f", WATCH]),
        ("approve", Answer("7f", "ops@hq", False, "running", 1), ["ops@hq is asked to approve rollout 7f", WATCH]),
        (
            "pause",
            Answer("7f", "", False, "running", 2),
            ["nobody drives rollout 7f: nothing new starts until somebody goes on", GOES_ON],
        ),
        (
            "approve",
            Answer("7f", "", False, "paused"),
            ["nobody drives rollout 7f: nothing new starts until somebody goes on, and hears of the approval", GOES_ON],
        ),
        ("cancel", Answer("7f", "", True, "cancelled"), ["rollout 7f is cancelled"]),
        (
            "cancel",
            Answer("7f", "", True, "cancelling", 3),
            [
                "rollout 7f is cancelling: nothing new starts",
                "its controller died with 3 nodes under way: fleet rollout resume 7f finds out how far, and ends it",
            ],
        ),
    ],
)
def test_the_words_of_an_answer(asked: Asked, answer: Answer, lines: list[str]):
    assert [line.text for line in answer_lines(asked, answer, lambda words: f"fleet {words}")] == lines
