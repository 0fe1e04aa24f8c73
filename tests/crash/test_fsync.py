"""The suite of power cuts goes red where a sync is missing: all of them, one kind, or any single one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import judge, recorded
from tests.crash.cases import Step
from tests.crash.cuts import Judged, Sync, concerning, cut_everywhere, syncs, without
from tests.crash.recorded import Recording
from tests.crash.store import Styled

pytestmark = pytest.mark.timeout(240)
NEEDED = {"first": 30, "change": 30, "removal": 15, "giving back": 15}
"""Syncs that are noticed when they alone are missing, at least."""


@pytest.fixture
def judged(step: Step) -> Judged:
    return Judged(lambda tree: judge.moment(tree, step.old, step.new))


@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        ("no-fsync", "is not whole"),
        ("no-folder-fsync", "is lost"),
        ("rename-before-fsync", "(0 bytes)"),
        ("in-place", "(0 bytes)"),
        ("record-first", "claimed too early"),
    ],
)
def test_a_run_that_breaks_its_word_is_caught(
    on_the_way: dict[str, Step], tmp_path: Path, mutant: str, found: str
) -> None:
    step = on_the_way["change"]
    recording = recorded.run(step, tmp_path, "--mutant", mutant)
    wrong = cut_everywhere(recording, Judged(lambda tree: judge.moment(tree, step.old, step.new)))
    assert any(found in one for one in wrong)


@pytest.mark.by_turn
def test_every_single_sync_that_is_missing_is_noticed_or_not_needed(
    recording: Recording, judged: Judged, name: str
) -> None:
    calls = concerning(recording)
    found, pending = syncs(recording, calls)
    reasons: Counter[str] = Counter()
    for at, one in enumerate(found):
        if without([one], calls, pending, judged):
            reasons["noticed"] += 1
        else:
            reason = not_needed(one, recording)
            if not reason:
                same = [later for later in found[at:] if later.inode == one.inode]
                assert without(same, calls, pending, judged), f"nobody would miss {one.call}"
                reason = LATER
            reasons[reason] += 1
    assert reasons["noticed"] >= NEEDED[name], reasons


LATER = "a later sync of the same file is in time"
# Each operation syncs for itself, since none knows what comes after it. That all of those are missing is noticed.


def not_needed(sync: Sync, recording: Recording) -> str:
    """Why a sync that nobody would miss is there; empty where there is no reason."""
    if not sync.covers:
        # Of what a killed run may have left in the page cache, and of links that systemd makes: in this run neither.
        return "there is nothing to sync"
    path = sync.call.args[0].path[len(recording.root) :]  # type: ignore[union-attr]
    if path not in recording.end:
        # A check's copy, a download, an old generation, a folder that goes: of what is in it nothing stays. Where its
        # name is, the sync is noticed.
        return "the folder goes as a whole"
    leaves = sync.before.sure.leaves
    if all(isinstance(one.op, Styled) and leaves[one.op.inode].mode == one.op.mode for one in sync.covers):
        # A folder that stays with whoever runs this has its mode from the start. Only one with another owner is made
        # private first, and in a sandbox there are no owners.
        return "the mode is what it was"
    return ""


def test_a_sync_that_is_dropped_for_real_is_the_same_as_one_that_is_left_out(
    record: Callable[[str], Recording], on_the_way: dict[str, Step], tmp_path: Path
) -> None:
    """What is recorded does not depend on its syncs, so each can be left out of one recording."""
    number, step = 40, on_the_way["change"]
    whole, dropped = record("change"), recorded.run(step, tmp_path, "--mutant", f"drop-fsync-{number}")
    there = [str(call).replace(dropped.root, "") for call in concerning(dropped)]
    calls = [str(call).replace(whole.root, "") for call in concerning(whole)]
    at = [place for place, call in enumerate(calls) if call.startswith("fsync(")][number - 1]
    assert [call.split("(")[0] for call in calls[:at] + calls[at + 1 :]] == [call.split("(")[0] for call in there]
