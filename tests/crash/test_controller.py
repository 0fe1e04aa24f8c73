"""What `fleet apply` prints is on the disk: the journal's events, the nodes' records, the papers of each batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.applied import DATABASE, STATE, Applied, Damaged, apply, events_printed, journal
from tests.crash.store import Named, Op, Wrote
from tests.crash.strace import Call, Handle

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Applied:
    return apply(tmp_path_factory.mktemp("applied"))


@pytest.fixture
def room(quick: str) -> Path:
    return Path(quick)


def is_ours(path: str) -> bool:
    """What is compared: not what comes and goes with Ansible."""
    return path.startswith((DATABASE, "/nodes/gate", "/nodes/shed")) or path.endswith((".json", ".jsonl"))


def test_the_model_ends_where_the_real_disk_ended(applied: Applied) -> None:
    *_, (_, disk, _) = applied.walk()
    shm = f"{DATABASE}-shm"
    found = {path: leaf for path, leaf in disk.live.tree().items() if is_ours(path)}
    assert found == {path: leaf for path, leaf in applied.end.items() if is_ours(path) and path != shm}
    assert {path.rpartition("/")[2] for path in found} > {"state.db", "intent.json", "done.json", "results.jsonl"}


def lost_events(applied: Applied, room: Path) -> list[str]:
    """Events that are printed while a power cut could still take them."""
    lost = []
    for call, disk, _ in applied.walk():
        if events := events_printed(call):
            known = journal(disk.sure.tree(), room).events
            lost += [str(event) for event in events if event not in known]
    return lost


def test_an_event_that_is_printed_outlives_a_power_cut(applied: Applied, room: Path) -> None:
    assert [event["event"] for event in applied.printed] == [
        "RolloutStarted", "WaveStarted", "BatchStarted", "NodeApplied", "BatchEnded", "BatchStarted", "NodeApplied",
        "BatchEnded", "WaveFinished", "RolloutFinished",
    ]  # fmt: skip
    assert lost_events(applied, room) == []


def test_a_node_that_is_told_to_be_applied_holds_it_on_its_own_disk(applied: Applied) -> None:
    told = []
    for call, disk, _ in applied.walk():
        for event in events_printed(call):
            if event["event"] == "NodeApplied":
                record = json.loads(disk.sure.tree()[f"/nodes/{event['node']}/var/lib/fleet/record.json"].data)
                assert record["digest"] == event["digest"]
                told.append(event["node"])
    assert sorted(told) == ["gate", "shed"]


def test_wherever_the_power_goes_the_journal_is_whole(
    applied: Applied, room: Path, record_property: Callable[[str, object], None]
) -> None:
    """It opens, and says the first of what happened, and nothing else: as far as was printed, or further."""
    final = journal(applied.end, room).events
    printed, seen = 0, set()
    for call, disk, is_change in applied.walk():
        printed += len(events_printed(call))
        if not is_change or "state.db" not in str(call):
            continue
        inodes = {disk.live.find(f"{DATABASE}{suffix}".split("/")[1:]) for suffix in ("", "-wal", "-journal")}
        for store in disk.cut(lambda op, inodes=inodes: concerns(op, inodes)):
            tree = {path: leaf for path, leaf in store.tree().items() if path.startswith(DATABASE)}
            key = tuple(sorted(tree.items()))
            if (key, printed) not in seen:
                seen.add((key, printed))
                events = journal(tree, room).events
                assert events == final[: len(events)], call
                assert len(events) >= printed, call
    assert len(seen) > 100
    record_property("journal_states", len(seen))


def concerns(op: Op, inodes: set[int | None]) -> bool:
    """Names may be anybody's; data only of these files."""
    return isinstance(op, Named) or bool(op.inodes & inodes)


def test_work_is_begun_when_the_journal_and_its_intent_are_on_the_disk(applied: Applied, room: Path) -> None:
    begun = []
    for call, disk, _ in applied.walk():
        batch = started_batch(call)
        if batch:
            tree = disk.sure.tree()
            known = journal(tree, room)
            assert batch in known.effects
            assert ("BatchStarted", batch) in {(one["event"], one.get("batch_id")) for one in known.events}
            assert json.loads(tree[f"{STATE}/runs/{batch}/intent.json"].data)["batch_id"] == batch
            assert json.loads(tree[f"{STATE}/runs/{batch}/job.json"].data)["batch_id"] == batch
            begun.append(batch)
    assert len(begun) == 2


def started_batch(call: Call) -> str:
    """The batch whose child this call starts; empty for any other call."""
    words = str(call.args[1]) if call.name == "execve" and call.result == 0 else ""
    texts = [
        bytes.fromhex(one.replace("\\x", "")).decode() for one in words.strip("[]").replace('"', "").split(", ") if one
    ]
    is_child = any("fleet.adapters.ansible.child" in text for text in texts)
    return texts[-1].rpartition("/")[2] if is_child else ""


def test_answers_are_on_the_disk_before_they_are_counted(applied: Applied) -> None:
    """A result is made of results.jsonl, and read from done.json: neither is looked at before it is synced."""
    looked = []
    for call, disk, _ in applied.walk():
        name = call.handle.path.rpartition("/")[2] if call.name == "openat" and call.handle else ""
        if name not in ("results.jsonl", "done.json") or "O_RDONLY" not in str(call.args[2]):
            continue
        assert isinstance(call.handle, Handle)
        path = call.handle.path[len(applied.root) :]
        inode = disk.live.find(path.split("/")[1:])
        assert not [one for one in disk.pending if isinstance(one.op, Wrote) and one.op.inode == inode], path
        if name == "done.json":
            assert disk.sure.tree()[path] == disk.live.tree()[path]
        looked.append(name)
    assert set(looked) == {"results.jsonl", "done.json"}


SYNCHRONOUS = """
import sqlite3
class Connection(sqlite3.Connection):
    def execute(self, sql, *args):
        return super().execute(sql.replace("synchronous=FULL", "synchronous=HOW"), *args)
real = sqlite3.connect
sqlite3.connect = lambda *args, **kwargs: real(*args, **{**kwargs, "factory": Connection})
"""
NO_FSYNC = "import os\nos.fsync = os.fdatasync = lambda handle: None\n"


@pytest.mark.by_turn
@pytest.mark.parametrize("how", ["OFF", "NORMAL"])
def test_a_journal_that_syncs_less_is_caught(tmp_path: Path, room: Path, how: str) -> None:
    """NORMAL is SQLite's own word for "a power cut may take the last transactions" in this mode."""
    found = apply(tmp_path, SYNCHRONOUS.replace("HOW", how))
    try:
        lost = lost_events(found, room)
    except Damaged:
        return
    assert lost


@pytest.mark.by_turn
def test_papers_that_are_not_synced_are_caught(tmp_path: Path, room: Path) -> None:
    found = apply(tmp_path, NO_FSYNC)
    with pytest.raises((AssertionError, KeyError)):
        test_work_is_begun_when_the_journal_and_its_intent_are_on_the_disk(found, room)
    with pytest.raises((AssertionError, KeyError)):
        test_answers_are_on_the_disk_before_they_are_counted(found)
