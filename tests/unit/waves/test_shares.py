"""How tests/hosts/waves reckons where the time of a rollout went."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.hosts.waves.shares import Playbooks, Share, share, told, union, without


def entry(at: float, kind: str, **fields: object) -> dict[str, object]:
    return {"at": at, "event": {"event": kind, **fields}}


def test_what_overlaps_counts_once_and_what_is_outside_not_at_all() -> None:
    assert union([(1, 3), (2, 4), (3.5, 3.6), (9, 12)], [(0, 10)]) == 4
    assert union([(0, 10)], [(1, 2), (4, 6)]) == 3
    assert union([], [(0, 10)]) == 0


def test_a_wait_in_the_middle_is_cut_out() -> None:
    assert without((0, 10), [(2, 5)]) == [(0, 2), (5, 10)]
    assert without((0, 10), []) == [(0, 10)]


def test_the_share_of_a_rollout() -> None:
    """0-1 start, 1-4 batch, 4-6 soak, 6-8 gates, 8-20 a person, 20-23 batch, 23-24 end; in batches, Ansible comes a second later."""
    spans = told(
        [
            entry(1, "BatchStarted", batch_id="1"),
            entry(4, "BatchEnded", batch_id="1"),
            entry(4, "WaveSoaking", until=6),
            entry(6, "GatesAsked", check_id="1"),
            entry(8, "GatesPassed", check_id="1"),
            entry(8, "ApprovalAwaited", wave="half"),
            entry(20, "WaveApproved", wave="half"),
            entry(20, "BatchStarted", batch_id="2"),
            entry(23, "BatchRequeued", batch_id="2"),
        ]
    )
    assert spans == {"batch": [(1, 4), (20, 23)], "gate": [(6, 8)], "soak": [(4, 6)], "approval": [(8, 20)]}
    found = share((0, 24), spans, [(2, 4), (21, 23)])
    assert found == Share(wall=12, ansible=4, gates=2, soaks=2, outside=4)
    assert (round(found.percent), round(found.percent_of_work)) == (33, 40)
    assert share((0, 24), spans, spans["batch"]).outside == 2


@pytest.mark.skipif(not Path("/proc/self/ns/net").exists(), reason="needs /proc")
def test_processes_of_the_name_are_seen_and_others_not(tmp_path: Path) -> None:
    """Of a name that nobody else has: other lanes run Ansible meanwhile."""
    ours, other = f"play-{os.getpid()}", f"pull-{os.getpid()}"
    for name in (ours, other):
        shutil.copy(shutil.which("cat") or "", tmp_path / name)
    with Playbooks(Path("/proc/self/ns/net"), ours) as playbooks:
        running = [subprocess.Popen([tmp_path / name], stdin=subprocess.PIPE) for name in (other, ours)]
        give_up = time.monotonic() + 30
        while not playbooks.there and time.monotonic() < give_up:
            time.sleep(0.01)
        assert list(playbooks.there) == [str(running[1].pid)]
        for process in running:
            process.communicate()
        while playbooks.there and time.monotonic() < give_up:
            time.sleep(0.01)
    ((begin, end),) = playbooks.spans
    assert begin < end
