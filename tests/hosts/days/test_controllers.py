"""Controllers that stand still, or have no room left."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.hosts.checkout import Running
from tests.hosts.days.day import MOTD, NODE, Day

LEASE_SECONDS = 30
"""As docs/how-it-works.md says: so long a controller that says nothing holds its rollout."""
ALONE = ("--no-cluster",)
"""A bundle that came in half may have had other labels: who goes on asks the API for them, and these hosts have none."""
STILL = 600 if os.environ.get("FLEET_EVERY_DAY") == "1" else LEASE_SECONDS + 5


def stop(running: Running) -> None:
    """All of it: fleet, its child, ansible-playbook and its workers, as on a laptop whose lid is closed."""
    for pid in family(running.process.pid):
        with suppress(ProcessLookupError):  # it has come to its end since it was looked for
            os.kill(pid, signal.SIGSTOP)


def go_on(running: Running) -> None:
    for pid in family(running.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """A process and all below it, whatever session they are in."""
    parents = dict(
        line.split() for line in subprocess.check_output(["ps", "-eo", "pid=,ppid="], text=True).splitlines()
    )
    found = [pid]
    for one in found:
        found += [int(child) for child, parent in parents.items() if int(parent) == one]
    return found


def test_a_controller_that_stands_still_finds_that_another_one_has_gone_on(day: Day, tmp_path: Path) -> None:
    """Two checkouts. The second one takes over with a reason; what the first one still wants is refused then."""
    day.greet()
    first = day.checkout.start("apply", "--yes", "--json", "--node", NODE)
    first.wait_for("RolloutStarted")
    stop(first)
    try:
        second = day.checkout.clone(tmp_path / "second")
        second.plan("--refresh")
        day.ground.greet(NODE, "meanwhile", second)
        said = second.fleet("apply", *ALONE, "--yes", "--json", "--node", NODE)
        assert [one["node"] for one in said.events("NodeApplied")] == [NODE]
        time.sleep(STILL)
        before = day.host.read(MOTD)
        assert before == f"meanwhile to {NODE} at north\n"
    finally:
        go_on(first)
    late = first.end()
    assert late.code == 4, late.text
    (refused,) = late.events("NodeFailed")
    assert refused["node"] == NODE
    assert refused["reason"].startswith("expect: the node was to hold ")
    assert day.host.read(MOTD) == before, "what the second one brought is not undone"
    day.checkout.git("pull", "--quiet", str(second.folder), "main")
    day.checkout.plan("--refresh")
    assert day.checkout.plan()["changing"] == 0


def test_a_second_run_in_the_same_checkout_waits_for_the_lease_and_goes_on(day: Day) -> None:
    """The journal is one: the second run is refused while the first one's lease lasts, and takes it up after that."""
    day.greet()
    first = day.checkout.start("apply", "--yes", "--json", "--node", NODE)
    rollout = first.wait_for("RolloutStarted")["rollout_id"]
    stop(first)
    try:
        said = day.checkout.fleet("apply", "--yes", "--node", NODE, code=2)
        assert "is rolling out from this folder" in said.err
        time.sleep(LEASE_SECONDS + 5)
        starts = day.ground.starts_of("acme.service")[NODE]
        said = day.checkout.fleet("rollout", "resume", rollout, *ALONE, "--json")
        assert [one["node"] for one in said.events("NodeApplied")] == [NODE]
        assert day.ground.starts_of("acme.service")[NODE] - starts <= 1
    finally:
        go_on(first)
    late = first.end()
    assert late.code != 0, late.text
    assert "Traceback" not in late.text
    assert day.checkout.plan("--refresh")["changing"] == 0


@pytest.mark.parametrize("left", ["nothing", "a little"])
def test_a_controller_with_a_full_disk_says_so_and_goes_on_when_there_is_room(
    day: Day, tmp_path: Path, left: str
) -> None:
    """Its state is on a file system of 3 MB: full at once, or while the rollout is on its way."""
    state = day.checkout.folder / ".fleet"
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small], check=True)
    try:
        subprocess.run(["cp", "-a", f"{state}/.", small], check=True)
        subprocess.run(["mount", "--bind", small, state], check=True)
        try:
            day.greet()
            filler = state / "filler"
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True)
            if left == "a little":
                os.truncate(filler, filler.stat().st_size - 32 * 1024)  # what Ansible works with is not there
            said = day.checkout.fleet("apply", "--yes", code=5)
            assert "No space left" in said.err or "the disk is full" in said.err
            assert "room" in said.err or "space" in said.err
            assert "Traceback" not in said.text
            assert day.is_whole()
            filler.unlink()
            day.checkout.fleet("apply", "--yes")
            assert day.host.read(MOTD) == day.states[-1][MOTD]
        finally:
            subprocess.run(["umount", "--lazy", state], check=True)  # connections of the last run are still open
        subprocess.run(["cp", "-a", f"{small}/.", state], check=True)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
    assert day.checkout.plan("--refresh")["changing"] == 0
