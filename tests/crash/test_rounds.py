"""What goes by turns comes in soak, all of it."""

from __future__ import annotations

import pytest

from tests.crash.rounds import COUNT, ROOT, ROUNDS, TURNS
from tests.soak import LANES
from tests.turn import turn


def test_the_lane_runs_every_round_wherever_it_begins() -> None:
    assert LANES["crash"].count == COUNT == len(set(ROUNDS))
    assert {ROUNDS[seed % COUNT] for seed in range(1_000_000, 1_000_000 + COUNT)} == set(ROUNDS)


def test_rounds_name_what_is_there() -> None:
    for words in TURNS:
        path, _, function = words.split()[0].partition("::")
        assert (ROOT / path).exists(), words
        assert not function or f"def {function}(" in (ROOT / path).read_text(), words


def test_a_turn_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURN", "11")
    assert turn(8) == 3
    monkeypatch.delenv("TURN")
    assert 0 <= turn(8) < 8
