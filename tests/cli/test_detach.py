"""`--detach`: the rollout goes on in a process of its own, and is watched, paused, cancelled and resumed from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from fleet.cli.passwords import Passwords
from tests.cli.detaching import BOX, SLOW, going_on, gone, rollout, row, until
from tests.cli.running import INTERRUPTIBLE, environment, run

pytestmark = pytest.mark.timeout(240)


def logs(shop: Path) -> list[str]:
    return sorted(path.name for path in (shop / "nodes" / ".fleet" / "detached").glob("*"))


def test_it_returns_when_the_rollout_has_begun_and_says_how_to_follow_it(shop: Path):
    ran = run("apply", *BOX, "--yes", "--detach", cwd=shop)

    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    told = re.fullmatch(r"rollout (\w+) goes on by itself \(process (\d+)\), and writes to (\S+)", first)
    assert told
    name, pid, log = told[1], int(told[2]), Path(told[3])
    follow = f"fleet rollout watch {name} --sandbox nodes follows it"
    assert second == f"{follow}; fleet rollout pause {name} --sandbox nodes stops it"
    assert log == shop / "nodes/.fleet/detached" / f"{name}.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (log.parent, log.parent.parent)} == {0o700}

    watched = run("rollout", "watch", name, *BOX, cwd=shop)

    assert (watched.code, watched.err) == (0, "")
    assert watched.out.splitlines()[0] == f"rollout {name} of a folder outside git, 1 wave, 3 nodes"
    assert watched.out.splitlines()[-1] == f"rollout {name} done: 3 applied"
    gone(pid)
    assert log.read_text() == watched.out == run("rollout", "show", name, *BOX, cwd=shop).out
    assert (shop / "nodes/paris-a/etc/shop.conf").read_text() == "greeting = hello paris-a\n"


def test_it_has_no_terminal_and_a_session_of_its_own(shop: Path):
    with going_on(shop) as found:
        jsonschema.validate(found, OUTPUTS["detached"].json_schema())
        assert os.getsid(found["pid"]) == found["pid"]
        assert Path(f"/proc/{found['pid']}/fd/0").readlink() == Path("/dev/null")
        assert Path(f"/proc/{found['pid']}/fd/1").readlink() == Path(found["log"])
        assert row(found, shop)["driver"].endswith(f"@{os.uname().nodename}")


def test_a_second_one_ends_with_the_words_and_the_code_of_its_process(shop: Path):
    with going_on(shop) as found:
        ran = run("apply", *BOX, "--detach", cwd=shop)

        assert (ran.code, ran.out) == (2, "")
        assert f"(process {found['pid']}) is rolling out from this folder" in ran.err
        assert ran.err.startswith("error: ")
        assert "hint: Wait for it." in ran.err
        assert logs(shop) == [f"{found['rollout_id']}.log"]


def test_what_is_refused_is_refused_here_and_no_process_is_started(shop: Path):
    ran = run("apply", "--detach", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "hosts are changed from a commit" in ran.err
    assert not (shop / ".fleet" / "detached").exists()


def test_nothing_to_do_needs_no_process(applied_shop: Path):
    ran = run("apply", *BOX, "--detach", cwd=applied_shop)

    assert ran.code == 0
    assert "Nothing to do" in ran.out
    assert logs(applied_shop) == []


def test_a_pause_is_heard_and_resume_may_be_detached_too(shop: Path):
    with going_on(shop) as found:
        name = found["rollout_id"]
        ran = rollout("pause", found, shop, "--reason", "lunch rush")

        assert ran.code == 0, ran.err
        asked, next_ = ran.out.splitlines()
        assert re.fullmatch(rf"\S+ is asked to pause rollout {name}(; 1 node still running)?", asked)
        assert next_ == f"fleet rollout watch {name} --sandbox nodes shows what comes of it"
        watched = rollout("watch", found, shop)
        assert watched.code == 4
        assert "pausing: lunch rush; " in watched.out
        assert watched.out.splitlines()[-1] == f"fleet rollout resume {name} --sandbox nodes goes on"
        gone(found["pid"])
        assert row(found, shop)["waits_for"] == "somebody to go on (paused: lunch rush)"
        assert f"! rollout {name} waits for somebody to go on" in run("status", *BOX, cwd=shop).out

        again = rollout("pause", found, shop)
        assert (again.code, again.out) == (2, "")
        assert again.err.splitlines()[0] == f"error: rollout {name} cannot be paused: it is paused"
        assert f"fleet rollout resume {name} goes on" in again.err

        resumed = rollout("resume", found, shop, "--detach", "--json")
        assert resumed.code == 0, resumed.err
        assert json.loads(resumed.out)["rollout_id"] == name
        assert logs(shop) == [f"{name}-2.log", f"{name}.log"]
        assert row(found, shop)["status"] == "running"
        found["pid"] = json.loads(resumed.out)["pid"]


def test_a_cancel_ends_what_runs_and_what_is_paused(shop: Path):
    with going_on(shop) as found:
        os.kill(found["pid"], signal.SIGTERM)
        assert rollout("watch", found, shop).code == 4
        gone(found["pid"])
        applied = row(found, shop)["counts"]["applied"]

        ran = rollout("cancel", found, shop, "--reason", "wrong version", "--json")

        assert ran.code == 0, ran.err
        answer = json.loads(ran.out)
        jsonschema.validate(answer, OUTPUTS["answer"].json_schema())
        assert (answer["is_done"], answer["status"], answer["driver"]) == (True, "cancelled", "")
        shown = rollout("show", found, shop).out.splitlines()
        counted = f"{applied} applied, {12 - applied} waiting"
        assert shown[-1] == f"rollout {found['rollout_id']} cancelled: wrong version; {counted}"
        assert rollout("watch", found, shop).code == 4
        for verb in ("cancel", "pause", "approve"):
            late = rollout(verb, found, shop)
            assert late.code == 2
            assert "it has ended (cancelled)" in late.err
            assert "fleet apply starts a new one" in late.err
        # Whatever git wants by now: that it has ended is what there is to say.
        (shop / "fleet.yaml").write_text((shop / "fleet.yaml").read_text().replace("hello", "welcome"))
        name = found["rollout_id"]
        for options in ((), ("--detach",)):
            assert rollout("resume", found, shop, *options) == (
                2, "",
                (f"error: rollout {name} is cancelled: there is nothing left to go on with\nhint: fleet apply starts a new one, "
                f"fleet rollout show {name} tells what became of this one.\n"),
            )  # fmt: skip


def test_a_cancel_is_heard_by_who_drives(shop: Path):
    with going_on(shop) as found:
        assert "is asked to cancel" in rollout("cancel", found, shop).out
        watched = rollout("watch", found, shop, "--json")

        assert watched.code == 4
        last = json.loads(watched.out.splitlines()[-1])
        assert (last["event"], last["counts"]["waiting"] > 0) == ("RolloutCancelled", True)
        assert last["reason"].startswith("by ")


def test_control_c_ends_the_watching_alone(shop: Path):
    """Of a rollout that is long enough to be watched on a busy machine."""
    more = SLOW.replace("oslo", "bergen").replace("count: 9", "count: 60").replace("10.20.3.10", "10.20.4.10")
    (shop / "sites" / "bergen.yaml").write_text(more)
    with going_on(shop) as found:
        name = found["rollout_id"]
        child = subprocess.Popen(
            [*INTERRUPTIBLE, "rollout", "watch", name, *BOX],
            cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == f"rollout {name} of a folder outside git, 1 wave, 72 nodes\n"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)

        assert child.returncode == 130
        assert err == f"no longer watching; rollout {name} goes on: fleet rollout pause {name} --sandbox nodes\n"
        assert row(found, shop)["status"] == "running"


def test_one_that_runs_says_how_far_it_is_and_waits_for_no_approval(shop: Path):
    with going_on(shop) as found:
        shown = rollout("show", found, shop).out.splitlines()
        assert re.fullmatch(
            r"running: \d+ applied, \d+ waiting, [01] of them under way, in wave everyone; driven by \S+", shown[-2]
        )
        assert shown[-1] == f"fleet rollout watch {found['rollout_id']} --sandbox nodes follows it"
        ran = rollout("approve", found, shop, "--wave", "everyone")
        assert (ran.code, ran.out) == (2, "")
        assert "it runs, and wave everyone does not wait for an approval" in ran.err
        ran = rollout("resume", found, shop)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"error: rollout {found['rollout_id']} cannot be resumed: it runs\n")


GATED = """\
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: gated}
spec:
  waves: [{name: pilot, limit: 1}, {name: ramp, approval: true}]
"""


def test_a_wave_waits_for_an_approval_and_the_journal_keeps_whose_it_was(shop: Path):
    (shop / "policy.yaml").write_text(GATED)
    ran = run("apply", *BOX, "--policy", "gated", "--detach", "--json", cwd=shop)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    until(lambda: row(found, shop)["waits_for"] == "an approval of wave ramp")
    shown = rollout("show", found, shop).out.splitlines()
    assert shown[-2] == "it waits for an approval of wave ramp"
    wrong = rollout("approve", found, shop, "--wave", "pilot")
    assert wrong.code == 2
    assert "wave ramp waits for an approval, and not pilot" in wrong.err

    told = rollout("approve", found, shop, "--json")

    assert told.code == 0, told.err
    driver = json.loads(told.out)["driver"]
    assert driver.endswith(f"@{os.uname().nodename}")
    watched = rollout("watch", found, shop)
    assert watched.code == 0
    assert f"wave ramp approved by {driver}" in watched.out.splitlines()
    assert watched.out.splitlines()[-1].endswith("done: 3 applied")
    gone(found["pid"])


def test_who_is_no_approver_is_told_who_is(shop: Path):
    (shop / "policy.yaml").write_text(GATED + "  approvers: [chief@hq, auditor]\n")
    ran = run("apply", *BOX, "--policy", "gated", "--detach", "--json", cwd=shop)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    until(lambda: row(found, shop)["waits_for"] == "an approval of wave ramp")

    ran = rollout("approve", found, shop)

    assert ran.code == 2
    assert "is none of its approvers (chief@hq, auditor)" in ran.err
    assert row(found, shop)["waits_for"] == "an approval of wave ramp"
    assert rollout("cancel", found, shop).code == 0
    gone(found["pid"])


@pytest.mark.parametrize("verb", ["show", "watch", "pause", "cancel", "approve", "resume", "rollback"])
def test_a_rollout_that_is_not_known(applied_shop: Path, verb: str):
    (known,) = json.loads(run("rollout", "list", *BOX, "--json", cwd=applied_shop).out)["rollouts"]

    ran = run("rollout", verb, "dead", *BOX, cwd=applied_shop)

    assert ran == (
        2, "", f"error: there is no rollout dead in this folder\nhint: The newest are {known['id']}.\n",
    )  # fmt: skip


def test_another_plan_than_the_one_that_was_shown_is_not_carried_out(shop: Path):
    """The other end, called as `detach` does, with the fingerprint of a plan that holds no more."""
    papers, hands_over = os.pipe()
    told, tells = os.pipe()
    os.write(hands_over, Passwords().sealed())
    os.close(hands_over)
    done = subprocess.run(
        [
            sys.executable, "-c", "from fleet.cli.detached import run; run()",
            str(papers), str(tells), "0" * 64, "", "apply", *BOX, "--detach",
        ],
        cwd=shop, env=environment(), pass_fds=(papers, tells), capture_output=True, text=True, check=False,
    )  # fmt: skip
    os.close(papers)
    os.close(tells)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: git or what the nodes hold changed since the plan was made\n")
    with os.fdopen(told, "rb") as pipe:
        assert pipe.read() == b""
    assert not (shop / "nodes" / "lyon-a").exists()


def test_passwords_are_handed_over_as_they_are_and_asked_for_once():
    asked = []

    def source() -> bytes:
        asked.append(1)
        return b" pa\x00ss\xff "

    here = Passwords()
    assert Passwords.unsealed(here.sealed()).vault(source)() == b" pa\x00ss\xff "
    assert here.vault(source)() == here.vault(source)() == b" pa\x00ss\xff "
    assert len(asked) == 2, "nobody had asked before the first hand-over"
    there = Passwords.unsealed(here.sealed())
    assert there.vault(source)() == b" pa\x00ss\xff "
    assert len(asked) == 2
    assert there.become(lambda: b"sudo")() == b"sudo"
    assert "xff" not in repr(here)
