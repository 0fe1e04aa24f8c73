"""A controller that is asked to stop, and one that dies: nothing is lost, and nothing is done twice."""

import time

from tests.hosts.ground import SOUTH, Ground


def test_once_interrupted_what_runs_is_finished_and_resume_goes_on(ground: Ground) -> None:
    ground.greet("north-till-001", "halt")
    ground.greet("south-a", "halt")
    before = {"south-till-001": ground.moment("south-till-001")}
    starts = ground.starts_of("acme.service")
    rollout = ground.checkout.start("apply", "--yes", "--json")
    started = rollout.wait_for("RolloutStarted")["rollout_id"]
    batch = rollout.wait_for("BatchStarted")
    assert batch["nodes"] == ["north-till-001", "south-a"]
    rollout.interrupt()
    said = rollout.end()
    assert said.code == 130
    assert {event["node"] for event in said.events("NodeApplied")} == {"north-till-001", "south-a"}
    assert len(said.events("BatchStarted")) == 1
    assert said.events()[-1]["event"] == "RolloutPaused"
    assert "stopping: what runs is finished" in said.err
    assert ground.touched_since(before) == {}

    said = ground.checkout.fleet("rollout", "resume", started, "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == ["south-till-001"]
    greeted = ("north-till-001", *SOUTH)
    assert ground.starts_of("acme.service") == starts | {name: starts[name] + 1 for name in greeted}
    assert ground.checkout.plan("--refresh")["changing"] == 0


def test_a_controller_that_is_killed_leaves_nothing_undone_and_nothing_is_done_twice(ground: Ground) -> None:
    """Its child works on: the next controller waits for it instead of starting a second one beside it."""
    ground.greet("south-a", "killed")
    starts = ground.starts_of("acme.service")
    rollout = ground.checkout.start("apply", "--yes", "--json")
    started = rollout.wait_for("RolloutStarted")["rollout_id"]
    rollout.wait_for("BatchStarted")
    time.sleep(1.5)  # into the run of its child
    rollout.kill()
    assert rollout.end().code == -9
    said = ground.checkout.fleet("rollout", "resume", started, "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == list(SOUTH)
    assert [event["restarted"] for event in said.events("NodeApplied")] == [["acme.service"]] * 2
    assert ground.starts_of("acme.service") == starts | {name: starts[name] + 1 for name in SOUTH}
    assert ground.checkout.plan("--refresh")["changing"] == 0


def test_after_a_kill_a_new_apply_converges_as_well(ground: Ground) -> None:
    ground.greet("south-a", "killed again")
    starts = ground.starts_of("acme.service")
    rollout = ground.checkout.start("apply", "--yes", "--json")
    rollout.wait_for("BatchStarted")
    time.sleep(1.5)
    rollout.kill()
    rollout.end()
    deadline = time.monotonic() + 60
    while ground.checkout.plan("--refresh")["changing"] and time.monotonic() < deadline:
        ground.checkout.fleet("apply", "--yes")
    assert ground.hosts["south-till-001"].read("/etc/motd") == "killed again to south-till-001 at south\n"
    assert ground.starts_of("acme.service") == starts | {name: starts[name] + 1 for name in SOUTH}
