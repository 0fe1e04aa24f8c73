"""What a rollout's end means for the exit code, and what ^C does; with events from a list, and on a real rollout."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fleet.cli.face import Face
from fleet.cli.rolling import roll
from fleet.cli.stopping import stopping
from fleet.cli.watching import TerminalWatcher
from fleet.model import event as happened
from fleet.model.event import Event, NodeFailed, NodeUnreachable, WaveStarted
from fleet.model.rollout import RolloutCounts
from tests.cli.running import COMMAND, environment, run

PAUSED = happened.RolloutPaused(rollout_id="7f", reason="stopped", counts=RolloutCounts())


class Stoppable:
    """As much of a Workspace as a rollout needs: it counts how often it was asked to stop."""

    def __init__(self) -> None:
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (happened.RolloutFinished(rollout_id="7f", counts=RolloutCounts(applied=3)), 0),
        (happened.RolloutHalted(rollout_id="7f", counts=RolloutCounts(failed=1)), 4),
        (happened.RolloutCancelled(rollout_id="7f", reason="", counts=RolloutCounts(waiting=1)), 4),
        (PAUSED, 4),
    ],
)
def test_the_exit_code_of_a_rollout(last: Event, code: int, capsys: pytest.CaptureFixture[str]):
    assert roll(Face(), Stoppable(), iter([last]), as_json=False) == code  # type: ignore[arg-type]
    assert "rollout 7f" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_to_stop_and_the_events_go_on_to_the_pause(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
):
    workspace = Stoppable()

    def events() -> Iterator[Event]:
        yield WaveStarted(wave="everyone", index=0, nodes=1)
        os.kill(os.getpid(), number)
        yield PAUSED

    assert roll(Face(), workspace, events(), as_json=False) == 130  # type: ignore[arg-type]
    assert workspace.stops == 1
    told = capsys.readouterr()
    assert told.err == "stopping: what runs is finished, then the rollout pauses; once more leaves now (safe)\n"
    assert "fleet rollout resume 7f goes on" in told.out


def test_a_rollout_that_ends_while_it_is_stopped_has_ended():
    def events() -> Iterator[Event]:
        os.kill(os.getpid(), signal.SIGINT)
        yield happened.RolloutFinished(rollout_id="7f", counts=RolloutCounts(applied=1))

    assert roll(Face(), Stoppable(), events(), as_json=False) == 0  # type: ignore[arg-type]


def test_each_signal_asks_once_and_afterwards_signals_mean_what_they_meant():
    workspace = Stoppable()
    before = signal.getsignal(signal.SIGINT)

    with stopping(workspace.stop, Face().err) as stops:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert workspace.stops == stops.count == 2

    assert signal.getsignal(signal.SIGINT) is before


def test_the_next_command_names_the_folder_and_the_sandbox_again():
    face = Face()
    assert face.again("apply") == "fleet apply"

    face.directory = "my shop"
    face.sandbox = "nodes"
    assert face.again("rollout resume 7f3c") == "fleet -C 'my shop' rollout resume 7f3c --sandbox nodes"


def test_ten_thousand_failures_are_no_ten_thousand_lines_on_a_terminal(capsys: pytest.CaptureFixture[str]):
    with TerminalWatcher(Face()) as watcher:
        watcher.show(WaveStarted(wave="everyone", index=0, nodes=10_000))
        watcher.show(NodeFailed(node="first", site="s", batch_id="b", reason="no space left"))
        for number in range(9_999):
            node = f"till-{number:04d}"
            reason = f"{node}: connection timed out"
            watcher.show(NodeUnreachable(node=node, site="s", batch_id="b", reason=reason))

    told = capsys.readouterr()
    assert "x first  no space left (fleet node log first)" in told.err
    assert "x till-0008  unreachable: till-0008: connection timed out (fleet node log till-0008)" in told.err
    assert "till-0009" not in told.err
    assert (
        told.out == "and 9,990 more that did not come through:\n"
        "x unreachable: NODE: connection timed out: 9,990 nodes (till-0009, till-0010, till-0011 and 9,987 more)\n"
    )
    assert "10000/10000" in told.err


class Interrupted(NamedTuple):
    code: int
    told: str
    err: str
    rollout: str


def interrupt(shop: Path, times: int) -> Interrupted:
    """Applies one node at a time; ^C `times` times, once the first batch has begun."""
    child = subprocess.Popen(
        [*COMMAND, "apply", "--sandbox", "nodes", "--forks", "1"],
        cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    seen = []
    for line in child.stdout:
        seen.append(line)
        if line.startswith("started "):
            break
    for _ in range(times):
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)  # two signals at once would be one
    out, err = child.communicate(timeout=120)
    told = "".join(seen) + out
    return Interrupted(child.returncode, told, err, rollout=seen[0].split()[1])


def test_stop_and_resume(shop: Path):
    ran = interrupt(shop, times=1)

    assert ran.code == 130, ran
    assert ran.err.startswith("stopping: what runs is finished")
    assert "applied 1 node (lyon-a)" in ran.told
    assert "1 applied, 2 waiting" in ran.told
    assert ran.told.endswith(f"\nfleet rollout resume {ran.rollout} --sandbox nodes goes on\n")

    resumed = run("rollout", "resume", ran.rollout, "--sandbox", "nodes", cwd=shop)

    assert resumed.code == 0, resumed.err
    assert resumed.out.rstrip().endswith(f"rollout {ran.rollout} done: 3 applied")
    assert run("rollout", "resume", ran.rollout, "--sandbox", "nodes", cwd=shop).code == 2


def test_leave_now_and_resume(shop: Path):
    ran = interrupt(shop, times=2)

    assert ran.code == 130, ran
    assert "leaving now" in ran.err
    assert f"fleet rollout resume {ran.rollout}" in ran.err
    assert "Traceback" not in ran.err

    resumed = run("rollout", "resume", ran.rollout, "--sandbox", "nodes", cwd=shop)

    assert resumed.code == 0, resumed.err
    assert resumed.out.rstrip().endswith(f"rollout {ran.rollout} done: 3 applied")
