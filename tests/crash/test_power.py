"""Power cuts are not kill -9: what a run has written is on the disk for sure only as far as it was synced.

Each run is recorded once, on a real file system, by strace; `tests.crash.disk` says what a power cut may leave at each
moment of it, and `tests.crash.judge` what is wrong with that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.crash import judge
from tests.crash.cases import Step
from tests.crash.cuts import Judged, concerning, cut_everywhere, heal_after_cut, killed_then_cut, moments
from tests.crash.recorded import Recording
from tests.crash.store import Named, Wrote
from tests.crash.trees import FILE
from tests.crash.worlds import STATE, UNITS
from tests.turn import turn

pytestmark = pytest.mark.timeout(240)
Told = Callable[[str, object], None]
LEAST = {"first": 500, "change": 500, "removal": 80, "giving back": 100}
"""How many states there are, at least: a model that misses some must not look like a shorter run."""
HEALED = 8
"""One of so many states is healed by a run; in soak, all."""
KILLED = 40
"""After a kill at one of so many moments the next run is cut as well; in soak, after an eighth of all."""
ENDS = 4
"""Of the last moments, all: there the record comes, or goes."""


@pytest.fixture
def judged(step: Step) -> Judged:
    return Judged(lambda tree: judge.moment(tree, step.old, step.new))


def test_the_model_ends_where_the_real_disk_ended(recording: Recording) -> None:
    """Recording, parser and model have missed nothing."""
    disk = recording.disk()
    for call in recording.calls:
        disk.feed(call)
    assert disk.live.tree() == recording.end


def test_wherever_the_power_goes_files_are_old_or_new(
    recording: Recording, judged: Judged, name: str, record_property: Told
) -> None:
    assert list(cut_everywhere(recording, judged)) == []
    assert len(judged.states) >= LEAST[name]
    record_property("power_cut_states", len(judged.states))


def test_the_next_run_heals_what_a_power_cut_has_left(
    recording: Recording, judged: Judged, step: Step, module: ModuleType, quick: str, record_property: Told
) -> None:
    list(cut_everywhere(recording, judged))
    trees = list(judged.trees)[turn(HEALED) :: HEALED]
    assert [one for tree in trees for one in heal_after_cut(module, step, tree, quick)] == []
    record_property("power_cuts_healed", len(trees))


@pytest.mark.parametrize("name", ["first", "change"])
def test_what_a_power_cut_has_left_of_a_download_is_not_trusted(
    recording: Recording, judged: Judged, step: Step, module: ModuleType, quick: str
) -> None:
    """Zeros as long as it should be, too: another one than the next run expects, and it goes on from there."""
    list(cut_everywhere(recording, judged))
    whole = step.after.files["/opt/acme/tool"].data
    trees = {
        leaf.data: tree
        for tree in judged.trees
        for path, leaf in tree.items()
        if path.startswith(f"{STATE}/downloads/") and leaf.data != whole
    }
    assert bytes(len(whole)) in trees
    assert [one for tree in trees.values() for one in heal_after_cut(module, step, tree, quick)] == []


def test_killed_healed_and_then_the_power_goes(
    recording: Recording, step: Step, judged: Judged, tmp_path: Path, record_property: Told
) -> None:
    """What a killed run has written is in the page cache, where the next run finds it done: it must sync that, too."""
    calls = concerning(recording)
    found = moments(recording, calls)
    places = sorted({*found[turn(KILLED) :: KILLED], *found[-ENDS:]})
    for place in places:
        assert killed_then_cut(recording, calls[:place], step, judged, tmp_path) == []
    record_property("killed_then_cut", len(places))


def test_a_run_that_does_not_sync_what_a_killed_one_has_done_is_caught(
    record: Callable[[str], Recording], on_the_way: dict[str, Step], tmp_path: Path
) -> None:
    recording, step = record("change"), on_the_way["change"]
    judged = Judged(lambda tree: judge.moment(tree, step.old, step.new))
    calls = concerning(recording)
    renamed = next(at for at, call in enumerate(calls) if call.name == "renameat" and call.args[3] == b"taken")
    assert killed_then_cut(recording, calls[: renamed + 1], step, judged, tmp_path) == []
    assert killed_then_cut(recording, calls[: renamed + 1], step, judged, tmp_path, "--mutant", "no-settling")


# ---- the order of calls, as it stands


@pytest.mark.parametrize("name", ["first", "change"])
def test_each_file_is_written_synced_named_and_its_folder_synced_before_the_record_claims_it(
    recording: Recording, step: Step, name: str
) -> None:
    stories = Stories(recording)
    record = stories.order[f"{STATE}/record.json"][-1]["rename"]
    was = {path: leaf for path, leaf in step.old.tree.items() if leaf.kind == FILE}
    files = [path for path in step.new.managed if was.get(path, (0, 0, b""))[2] != step.new.tree[path].data]
    assert len(files) > 5
    for path in files:
        (story,) = stories.order[path]
        assert list(story) == ["write", "sync", "rename", "folder"], path
        assert list(story.values()) == sorted(story.values()), path
        assert story["folder"] < record, path


def test_the_record_comes_last_and_the_result_is_printed_after_its_sync(record: Callable[[str], Recording]) -> None:
    recording = record("change")
    stories = Stories(recording)
    meant, done = stories.order[f"{STATE}/record.json"]
    placed = {path: story[-1]["rename"] for path, story in stories.order.items()}
    assert max(placed, key=lambda path: placed[path]) == f"{STATE}/record.json"
    assert all(meant["folder"] < at for path, at in placed.items() if not judge.own(path) and not judge.is_temp(path))
    printed = [
        call for call in recording.calls if call.name == "write" and "pipe:" in getattr(call.args[0], "path", "")
    ]
    assert json.loads(b"".join(call.args[1] for call in printed if isinstance(call.args[1], bytes)))["changed"] is True
    assert done["folder"] < printed[0].began


def test_originals_are_kept_before_anything_takes_their_place(record: Callable[[str], Recording]) -> None:
    stories = Stories(record("change"))
    (kept,) = (story for path, story in stories.order.items() if path.startswith(f"{STATE}/originals/"))
    assert kept[0]["folder"] < stories.order["/etc/taken"][0]["rename"]


def test_links_of_units_are_synced_before_the_record(record: Callable[[str], Recording]) -> None:
    recording = record("first")
    disk, links, synced = recording.disk(), f"{UNITS}/multi-user.target.wants", 0
    for call in recording.calls:
        if call.name == "renameat" and call.args[3] == b"record.json":
            synced = sum(path.startswith(links + "/") for path in disk.sure.tree())
        disk.feed(call)
    assert synced == 3


class Stories:
    """By path: each time that a file was put there, at which lines it was last written, synced, named, and that synced."""

    def __init__(self, recording: Recording) -> None:
        self.order: dict[str, list[dict[str, int]]] = {}
        disk, written, synced = recording.disk(), {}, {}
        open_ends: dict[int, list[dict[str, int]]] = {}
        for call in recording.calls:
            if call.name in ("fsync", "fdatasync") and (inode := disk.synced(call)) is not None:
                synced[inode] = call.ended
                for story in open_ends.pop(inode, ()):
                    story["folder"] = call.ended
            if not disk.feed(call):
                continue
            op = disk.pending[-1].op
            if isinstance(op, Wrote):
                written[op.inode] = call.ended
            elif isinstance(op, Named) and call.name == "renameat":
                folder, _, inode = op.names[-1]
                if inode is not None and inode in written:
                    story = {"write": written[inode], "sync": synced.get(inode, -1), "rename": call.ended}
                    path = str(call.args[2].path)[len(recording.root) :] + "/" + call.args[3].decode()  # type: ignore[union-attr]
                    self.order.setdefault(path, []).append(story)
                    open_ends.setdefault(folder, []).append(story)
