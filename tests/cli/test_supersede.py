"""`apply --supersede`: what another process rolls out from this folder ends, and this one goes on in its place."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.detaching import BOX, going_on, gone, rollout, row, until
from tests.cli.running import INTERRUPTIBLE, environment, run, run_on_terminal

pytestmark = pytest.mark.timeout(240)
FORKS = ("--forks", "20")


@contextmanager
def asking(shop: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A `fleet apply --supersede` of its own, on pipes, that has said what it waits for."""
    child = subprocess.Popen(
        [*INTERRUPTIBLE, "apply", *BOX, *FORKS, "--supersede", *options],
        cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def waits_for(child: subprocess.Popen[str], name: str) -> None:
    """Reads its one line."""
    assert child.stderr is not None
    line = child.stderr.readline()
    assert re.fullmatch(rf"waiting for rollout {name} of \S+ to end: \d+ nodes? under way; \^C leaves\n", line), line


@contextmanager
def held(pid: int) -> Iterator[Callable[[], None]]:
    """The batch of a controller stands still, until it is let go; the controller hears of requests."""
    until(lambda: bool(children(pid)))
    groups = children(pid)
    for group in groups:
        os.killpg(group, signal.SIGSTOP)

    def let_go() -> None:
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    try:
        yield let_go
    finally:
        let_go()


def children(pid: int) -> list[int]:
    """Those of a process that lead a group of their own: its batches."""
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for some in found for child in some if leads(int(child))]


def leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def change(shop: Path) -> None:
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", "welcome"))


def greetings(shop: Path) -> set[str]:
    return {path.read_text().split()[2] for path in (shop / "nodes").glob("*/etc/shop.conf")}


def rollouts(shop: Path) -> list[dict[str, Any]]:
    return list(json.loads(run("rollout", "list", *BOX, "--json", cwd=shop).out)["rollouts"])


def asked(found: dict[str, Any], shop: Path) -> int:
    """How often a rollout was told that another one takes over."""
    lines = rollout("show", found, shop, "--json").out.splitlines()
    return sum(json.loads(line)["event"] == "SupersedeRequested" for line in lines)


def test_without_it_the_error_names_it(shop: Path):
    with going_on(shop) as found:
        ran = run("apply", *BOX, cwd=shop)

        assert ran.code == 2
        assert f"(process {found['pid']}) is rolling out from this folder" in ran.err
        takes_over = "fleet apply --supersede ends what it rolls out, and takes over what has not begun."
        assert ran.err.splitlines()[1].endswith(takes_over)
        assert row(found, shop)["status"] == "running"


def test_what_runs_ends_and_what_has_not_begun_comes_by_the_newer_one(shop: Path):
    with going_on(shop) as found:
        old = found["rollout_id"]
        until(lambda: row(found, shop)["counts"]["applied"] > 0)
        change(shop)

        with asking(shop, "--json") as child:
            waits_for(child, old)
            out, err = child.communicate(timeout=120)

        assert child.returncode == 0, err
        ended, anew = err.splitlines()
        first = json.loads(out.splitlines()[0])
        new = first["rollout_id"]
        told = re.fullmatch(rf"rollout {old} superseded by {new}; (\d+) applied, (\d+) waiting", ended)
        assert told, err
        assert int(told[1]) + int(told[2]) == 12
        assert anew == "planned anew: 12 nodes to change"
        assert (first["event"], first["nodes"]) == ("RolloutStarted", 12)
        assert greetings(shop) == {"welcome"}
        gone(found["pid"])
        assert [(each["id"], each["status"]) for each in rollouts(shop)] == [(new, "finished"), (old, "superseded")]
        assert run("plan", *BOX, cwd=shop).code == 0


def test_what_the_older_one_brought_is_not_brought_again(shop: Path):
    with going_on(shop) as found:
        until(lambda: row(found, shop)["counts"]["applied"] > 0)

        ran = run("apply", *BOX, *FORKS, "--supersede", "--json", cwd=shop)

        assert ran.code == 0, ran.err
        brought = [json.loads(line)["node"] for line in ran.out.splitlines() if '"NodeApplied"' in line]
        applied = row(found, shop)["counts"]["applied"]
        assert applied > 0
        assert len(brought) == len(set(brought)) == 12 - applied


def test_nobody_to_wait_for(shop: Path):
    ran = run("apply", *BOX, "--supersede", cwd=shop)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1].endswith("done: 3 applied")


def test_nothing_to_do_and_nobody_to_wait_for(applied_shop: Path):
    ran = run("apply", *BOX, "--supersede", cwd=applied_shop)

    assert (ran.code, ran.err) == (0, "")
    assert "Nothing to do" in ran.out


def test_of_three_that_ask_within_one_batch_the_last_one_takes_over(shop: Path):
    with going_on(shop) as found, ExitStack() as asks:
        old = found["rollout_id"]
        change(shop)
        children = []
        with held(found["pid"]):
            for number in (1, 2, 3):
                children.append(asks.enter_context(asking(shop)))
                waits_for(children[-1], old)
                until(lambda number=number: asked(found, shop) == number)  # type: ignore[misc]
        told = [child.communicate(timeout=120) for child in children]

        assert [child.returncode for child in children] == [2, 2, 0], told
        new, *others = rollouts(shop)
        assert [each["id"] for each in others] == [old], "the first two began nothing"
        assert (new["status"], new["counts"]["applied"]) == ("finished", 12)
        for out, err in told[:2]:
            assert out == ""
            assert re.search(
                rf"^error: rollout \w+ was asked for later, and takes over from rollout {old}", err, re.MULTILINE
            )
        assert f"rollout {new['id']} was asked for later" in told[1][1]
        assert greetings(shop) == {"welcome"}
        gone(found["pid"])


def test_control_c_leaves_the_request_in_place(shop: Path):
    with going_on(shop) as found:
        old = found["rollout_id"]
        with held(found["pid"]), asking(shop) as child:
            waits_for(child, old)
            until(lambda: asked(found, shop) == 1)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)

        assert (child.returncode, out) == (130, "")
        watch = f"fleet rollout watch {old} --sandbox nodes"
        assert err.splitlines() == [
            f"error: no longer waiting; the request stays: rollout {old} ends when what runs of it is over",
            f"hint: fleet apply --sandbox nodes brings the rest then, {watch} shows how far it is.",
        ]
        assert rollout("watch", found, shop).code == 4
        assert [each["status"] for each in rollouts(shop)] == ["superseded"]
        assert run("apply", *BOX, *FORKS, cwd=shop).code == 0
        assert len(list((shop / "nodes").glob("*/etc/shop.conf"))) == 12


def test_kill_9_of_who_waits_leaves_a_rollout_that_ends_and_a_folder_that_is_free(shop: Path):
    with going_on(shop) as found:
        with held(found["pid"]), asking(shop) as child:
            waits_for(child, found["rollout_id"])
            until(lambda: asked(found, shop) == 1)
            child.kill()
            child.wait(timeout=60)

        watched = rollout("watch", found, shop)
        assert watched.code == 4
        assert " superseded by " in watched.out.splitlines()[-1]
        gone(found["pid"])
        ran = run("apply", *BOX, *FORKS, "--json", cwd=shop)
        assert ran.code == 0, ran.err
        assert run("plan", *BOX, cwd=shop).code == 0


def test_kill_9_of_who_is_waited_for(shop: Path):
    """Its lease is free at once: the engine finds out how far its batch came, and goes on."""
    with going_on(shop) as found, asking(shop, "--json") as child:
        with held(found["pid"]):
            waits_for(child, found["rollout_id"])
            os.kill(found["pid"], signal.SIGKILL)
        out, err = child.communicate(timeout=120)

        assert child.returncode == 0, err
        assert json.loads(out.splitlines()[-1])["event"] == "RolloutFinished"
        assert [each["status"] for each in rollouts(shop)] == ["finished", "superseded"]
        assert len(list((shop / "nodes").glob("*/etc/shop.conf"))) == 12


def test_it_may_be_detached_and_keeps_the_id_that_was_told(shop: Path):
    with going_on(shop):
        change(shop)
        ran = run("apply", *BOX, *FORKS, "--supersede", "--detach", "--json", cwd=shop)

        assert ran.code == 0, ran.err
        new = json.loads(ran.out)
        assert f"superseded by {new['rollout_id']}; " in ran.err
        assert rollout("watch", new, shop).code == 0
        gone(new["pid"])
        assert greetings(shop) == {"welcome"}


def test_a_saved_plan_is_of_what_was_before(shop: Path):
    assert run("plan", *BOX, "--out", "plan.json", cwd=shop).code == 3

    ran = run("apply", "plan.json", "--supersede", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "error: a saved plan is of what nodes held before the rollout that --supersede ends",
        "hint: leave out the file: --supersede plans anew, and shows it first",
    ]


def test_what_is_refused_ends_nothing(shop: Path):
    with going_on(shop) as found:
        (shop / "fleet.yaml").write_text(
            (shop / "fleet.yaml").read_text().replace("profiles: [base]", "profiles: [no]")
        )
        assert run("apply", *BOX, "--supersede", cwd=shop).code == 2
        assert row(found, shop)["status"] in ("running", "finished")
        assert asked(found, shop) == 0


def test_on_a_terminal_the_plan_is_agreed_to_before_anything_ends(shop: Path):
    with going_on(shop) as found:
        ran = run_on_terminal("apply", *BOX, "--supersede", cwd=shop, answers={"Apply this": "n"})

        assert ran.code == 130, ran.out
        assert "not applied" in ran.out
        assert "waiting for" not in ran.out
        assert asked(found, shop) == 0
        assert row(found, shop)["status"] in ("running", "finished")


def test_on_a_terminal_it_says_what_it_waits_for_and_asks_once(shop: Path):
    with going_on(shop) as found:
        ran = run_on_terminal("apply", *BOX, *FORKS, "--supersede", cwd=shop, answers={"Apply this": "y"})

        assert ran.code == 0, ran.out
        assert f"waiting for rollout {found['rollout_id']} of " in ran.out
        assert ran.out.count("Apply this") == 1, "what is left is a part of what was agreed to"
        assert len(list((shop / "nodes").glob("*/etc/shop.conf"))) == 12


def test_on_a_terminal_what_git_wants_since_then_is_agreed_to_anew(shop: Path):
    with going_on(shop) as found, held(found["pid"]) as let_go:

        def push() -> None:
            until(lambda: asked(found, shop) == 1)
            change(shop)
            let_go()

        pushing = threading.Thread(target=push)
        pushing.start()
        answers = {"Apply this": "y", "planned anew": "n"}
        ran = run_on_terminal("apply", *BOX, *FORKS, "--supersede", cwd=shop, answers=answers)
        pushing.join()

        assert ran.code == 130, ran.out
        assert ran.out.count("Apply this") == 2
        assert "not applied" in ran.out
        assert greetings(shop) <= {"hello"}
