"""What becomes of a batch when its controller, its child or its ansible-playbook is killed (design, decisions 5, 7)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import fleet
from fleet.adapters.ansible import AnsibleApplier, AnsibleObserver, Settings
from fleet.adapters.ansible.process import identity_of, is_alive, marked
from fleet.adapters.ansible.workdir import Workdir
from fleet.errors import StoppedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from tests.contract.adapters.ansible.conftest import in_thread

Order = Callable[..., BatchOrder]

CONTROLLER = """
import shutil, sys
from pathlib import Path
import msgspec
from fleet.adapters.ansible import AnsibleApplier, Settings
from fleet.model.batch import BatchOrder
order = msgspec.json.decode(sys.argv[3].encode(), type=BatchOrder)
write = lambda folder, nodes: shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)
AnsibleApplier(Settings(Path(sys.argv[1]), controller="first"), write).run_batch(order)
"""


@pytest.fixture
def start_controller(project: Any, run_dir: Path, tmp_path: Path) -> Callable[[BatchOrder], subprocess.Popen[bytes]]:
    """Another process that runs a batch, to be killed."""

    def start(order: BatchOrder) -> subprocess.Popen[bytes]:
        copy = tmp_path / "written"
        project.write(copy, list(project.hosts))
        arguments = [str(run_dir), str(copy), msgspec.json.encode(order).decode()]
        path = os.pathsep.join([str(Path(fleet.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen([sys.executable, "-c", CONTROLLER, *arguments], env=os.environ | {"PYTHONPATH": path})

    return start


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def outcomes(result: BatchResult) -> dict[str, str]:
    return {one.node: one.outcome for one in result.results}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_after_kill_9_the_next_controller_adopts_the_living_child(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    project.add("a", "b")
    project.put("a", "hold")
    controller = start_controller(order("a", "b", epoch=4))
    project.wait_for_run("a")
    project.wait_for_run("b")
    kill(controller)
    child = Workdir(run_dir / "r1-0001").child()
    assert child is not None
    assert is_alive(child.identity)
    assert child.epoch == 4

    applier = AnsibleApplier(Settings(run_dir, controller="second"), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("a", "b", epoch=5)))
    time.sleep(0.5)
    assert got == []  # it waits for the one that runs
    project.take("a", "hold")
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert outcomes(result) == {"a": "applied", "b": "applied"}
    assert (project.runs("a"), project.runs("b")) == (1, 1)
    records = [one.record for one in result.results]
    assert [(one.epoch, one.controller) for one in records if one is not None] == [(4, "first"), (4, "first")]


def test_after_kill_9_a_child_that_finished_alone_left_its_result(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    project.add("a")
    project.put("a", "hold")
    controller = start_controller(order("a", epoch=4))
    project.wait_for_run("a")
    kill(controller)
    project.take("a", "hold")
    until((run_dir / "r1-0001" / "done.json").exists)

    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", epoch=5))

    assert outcomes(result) == {"a": "applied"}
    assert project.runs("a") == 1


def test_a_living_child_of_another_order_is_ended_before_the_batch_runs(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    project.add("a", "b")
    project.put("a", "hold")
    controller = start_controller(order("a", epoch=4))
    project.wait_for_run("a")
    kill(controller)
    before = marked(str(run_dir / "r1-0001"))
    assert len(before) >= 3  # the child, ansible-playbook, its worker: in sessions of their own

    project.take("a", "hold")  # read again only by a module that starts now: the old one ends within its next look
    project.put("b", "hold")
    applier = AnsibleApplier(Settings(run_dir), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("b", epoch=5)))
    project.wait_for_run("b")
    assert not [one for one in before if is_alive(one)]
    project.take("b", "hold")
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert outcomes(result) == {"b": "applied"}


def test_a_dead_childs_left_over_playbook_is_ended_before_the_batch_runs_again(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    project.add("a")
    project.put("a", "hold")
    controller = start_controller(order("a", epoch=4))
    project.wait_for_run("a")
    kill(controller)
    workdir = Workdir(run_dir / "r1-0001")
    child = workdir.child()
    assert child is not None
    os.kill(child.identity.pid, signal.SIGKILL)
    until(lambda: not is_alive(child.identity))
    left = marked(str(workdir.path))

    applier = AnsibleApplier(Settings(run_dir, controller="second"), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("a", epoch=5)))
    project.wait_for_run("a", 2)
    assert not [one for one in left if is_alive(one)]
    project.take("a", "hold")
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert outcomes(result) == {"a": "applied"}
    assert result.results[0].record is not None
    assert (result.results[0].record.epoch, result.results[0].record.controller) == (5, "second")


def test_a_child_that_is_killed_fails_only_the_nodes_that_had_not_answered(
    project: Any, run_dir: Path, order: Order
) -> None:
    project.add("a", "b")
    project.put("b", "hold")
    applier = AnsibleApplier(Settings(run_dir), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("a", "b")))
    workdir = Workdir(run_dir / "r1-0001")
    until((workdir.path / "results.jsonl").exists)
    project.wait_for_run("b")
    child = workdir.child()
    assert child is not None
    os.kill(child.identity.pid, signal.SIGKILL)
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert outcomes(result) == {"a": "applied", "b": "failed"}
    assert result.results[1].reason.startswith("the run ended before it answered")
    assert marked(str(workdir.path)) == []
    assert not (workdir.path / "project").exists()
    assert AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", "b")) == result


def test_an_ansible_playbook_that_is_killed_is_told_so(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")
    project.put("a", "hold")
    applier = AnsibleApplier(Settings(run_dir), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("a")))
    project.wait_for_run("a")
    workdir = Workdir(run_dir / "r1-0001")
    child = workdir.child()
    assert child is not None
    for one in marked(str(workdir.path)):
        if one != child.identity:
            os.kill(one.pid, signal.SIGKILL)
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert outcomes(result) == {"a": "failed"}
    assert result.results[0].reason.startswith("the run ended before it answered")


def test_stop_now_ends_everything_and_leaves_no_result_behind(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a", "b")
    project.put("b", "hold")
    applier = AnsibleApplier(Settings(run_dir), project.write)
    thread, got = in_thread(lambda: applier.run_batch(order("a", "b")))
    project.wait_for_run("b")
    began = time.monotonic()

    applier.stop_now()
    thread.join(90)

    assert time.monotonic() - began < 10
    assert isinstance(got[0], StoppedError)
    assert marked(str(run_dir / "r1-0001")) == []
    assert not (run_dir / "r1-0001" / "done.json").exists()
    with pytest.raises(StoppedError):
        applier.run_batch(order("a", batch_id="r1-0002"))
    project.take("b", "hold")
    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", "b", epoch=2))
    assert outcomes(result) == {"a": "applied", "b": "applied"}


def test_a_batch_that_is_only_adopted_is_waited_for_and_never_begun(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    """While it lives; what died, or never was, is not run again, and who had answered has its result."""
    project.add("a", "b")
    never = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", only_adopt=True, batch_id="r1-0009"))
    assert outcomes(never) == {"a": "failed"}
    assert (never.is_begun, never.results[0].reason) == (False, "it was not begun")
    project.put("b", "hold")
    killed = start_controller(order("a", "b"))
    project.wait_for_run("b")
    kill(killed)
    thread, got = in_thread(
        lambda: AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", "b", epoch=2, only_adopt=True))
    )
    project.take("b", "hold")
    thread.join(90)
    assert isinstance(got[0], BatchResult)
    assert outcomes(got[0]) == {"a": "applied", "b": "applied"}

    project.put("b", "hold")
    killed = start_controller(order("a", "b", batch_id="r1-0002"))
    workdir = Workdir(run_dir / "r1-0002")
    until(lambda: project.runs("b") == 2 and any(line.node == "a" for line in workdir.answers(NodeResult)[0]))
    kill(killed)
    child = workdir.child()
    assert child is not None
    os.kill(child.identity.pid, signal.SIGKILL)
    runs = project.runs("b")
    left = AnsibleApplier(Settings(run_dir), project.write).run_batch(
        order("a", "b", epoch=2, batch_id="r1-0002", only_adopt=True)
    )
    assert outcomes(left) == {"a": "applied", "b": "failed"}
    assert left.results[1].reason.startswith("the run ended before it answered")
    assert project.runs("b") == runs


def test_a_run_that_takes_longer_than_its_deadline_is_ended(project: Any, run_dir: Path, order: Order) -> None:
    """Who was quicker has its result; who hangs has failed, and is told why."""
    project.add("a", "b")
    project.put("b", "hold")
    hurried = msgspec.structs.replace(order("a", "b"), deadline=15.0)
    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(hurried)
    assert outcomes(result) == {"a": "applied", "b": "failed"}
    assert result.results[1].reason == "no result within 15 s (progressDeadline)"
    assert marked(str(run_dir / "r1-0001")) == []


def test_two_batches_run_at_the_same_time_and_one_may_be_stopped_by_its_end_only(
    project: Any, run_dir: Path, order: Order
) -> None:
    project.add("a", "b")
    project.put("a", "hold")
    project.put("b", "hold")
    applier = AnsibleApplier(Settings(run_dir), project.write)
    first, got_first = in_thread(lambda: applier.run_batch(order("a")))
    second, got_second = in_thread(lambda: applier.run_batch(order("b", batch_id="r1-0002")))
    project.wait_for_run("a")
    project.wait_for_run("b")
    project.take("b", "hold")
    second.join(90)
    assert got_first == []
    project.take("a", "hold")
    first.join(90)

    assert [outcomes(one) for one in (*got_first, *got_second) if isinstance(one, BatchResult)] == [
        {"a": "applied"},
        {"b": "applied"},
    ]


def test_a_controller_killed_before_its_child_began_leaves_nothing_in_the_way(
    project: Any, run_dir: Path, order: Order
) -> None:
    project.add("a")
    workdir = Workdir(run_dir / "r1-0001")
    run_dir.mkdir()
    workdir.intend(order("a", epoch=1))
    (workdir.path / "project").mkdir()
    (workdir.path / "project" / "site.yml").write_text("half a fi")
    (workdir.path / "results.jsonl").write_text('{"node":"a","outcome":"fai')
    (workdir.path / ".done.json.0123456789ab").write_text("{")

    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", epoch=2))

    assert outcomes(result) == {"a": "applied"}
    assert list(workdir.path.glob(".*")) == [], "papers that never got their names are gone"


def test_a_pid_that_was_given_to_another_process_is_not_the_child(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")
    run_dir.mkdir()
    workdir = Workdir(run_dir / "r1-0001")
    workdir.intend(order("a", epoch=1))
    mine = identity_of(os.getpid())
    assert mine is not None
    stranger = msgspec.structs.replace(mine, started=mine.started - 1)
    (workdir.path / "child.json").write_bytes(msgspec.json.encode({"identity": stranger, "epoch": 1}))

    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", epoch=2))

    assert outcomes(result) == {"a": "applied"}


def test_leaving_a_look_early_ends_its_run(project: Any, run_dir: Path) -> None:
    project.add("a", "b")
    looks = AnsibleObserver(Settings(run_dir), project.write).observe(["a", "b"])
    next(looks)
    (folder,) = run_dir.iterdir()

    looks.close()

    assert marked(str(folder)) == []
    assert list(run_dir.iterdir()) == []


def test_a_look_clears_what_a_killed_look_left(project: Any, run_dir: Path) -> None:
    project.add("a")
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = run_dir / f"ask-{gone.pid}-abcd1234"
    left.mkdir(parents=True)
    mine = run_dir / f"ask-{os.getpid()}-abcd1234"
    mine.mkdir()

    assert len(list(AnsibleObserver(Settings(run_dir), project.write).observe(["a"]))) == 1

    assert list(run_dir.iterdir()) == [mine]


def write_nothing(folder: Path, nodes: Sequence[str]) -> None:
    """A renderer that breaks."""
    raise OSError(28, "No space left on device", str(folder), None, str(nodes))


def test_a_disk_that_is_full_while_the_project_is_written_starts_nothing(run_dir: Path, order: Order) -> None:
    with pytest.raises(OSError, match="No space"):
        AnsibleApplier(Settings(run_dir), write_nothing).run_batch(order("a"))
    assert not (run_dir / "r1-0001" / "child.json").exists()
    assert marked(str(run_dir / "r1-0001")) == []


def test_what_is_in_memory_is_gone_after_kill_9_of_controller_and_child(
    project: Any, run_dir: Path, order: Order, start_controller: Any
) -> None:
    """While it runs, the disk holds its papers and nothing of the project; afterwards no folder in memory is left."""
    project.add("a")
    project.put("a", "hold")
    controller = start_controller(order("a", epoch=4))
    project.wait_for_run("a")
    batch = run_dir / "r1-0001"
    folder, child = Workdir(batch).memory, Workdir(batch).child()
    assert child is not None
    assert {"project", "artifacts", "tmp", "vars.yml", "ssh_config"} <= {path.name for path in folder.iterdir()}
    assert {path.name for path in batch.iterdir()} <= {
        "intent.json", "job.json", "child.json", "child.lock", "child.log", "results.jsonl",
    }  # fmt: skip

    kill(controller)
    assert folder.is_dir(), "the child works on"
    os.kill(child.identity.pid, signal.SIGKILL)

    until(lambda: not folder.exists())
