"""The example two-sites is the demo: run it as `make demo` does, and read what it printed and left."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.command import BIN, ROOT, Ran, execute

MINUTES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Ran:
    """The demo checks the exit code of each of its commands itself."""
    ran = execute([sys.executable, str(ROOT / "examples/demo.py"), str(folder / "work")], folder)
    assert ran.code == 0, ran.text
    return ran


def step(demo: Ran, command: str) -> list[list[str]]:
    """What each run of a command printed, in lines, up to the next command."""
    found: list[list[str]] = []
    inside = False
    for line in demo.out.splitlines():
        if line.startswith(("$ ", "# ")):
            inside = line.startswith(f"$ {command}")
            if inside:
                found.append([])
        elif inside and line:
            found[-1].append(line)
    return found


def test_it_says_nothing_on_stderr_but_what_init_wrote(demo: Ran):
    assert [line for line in demo.err.splitlines() if not line.startswith("wrote two-sites/")] == []


def test_it_shows_every_part_of_the_main_job_in_order(demo: Ran):
    commands = [" ".join(line.split()[1:3]) for line in demo.out.splitlines() if line.startswith("$ ")]
    assert commands == [
        "fleet init", "git init", "fleet lock", "fleet secret", "git add", "fleet validate",
        "fleet plan", "fleet apply", "fleet plan",
        "fleet lock", "git commit", "fleet plan", "fleet apply", "fleet status",
        "git add", "fleet plan", "fleet apply",
        "git commit", "fleet apply", "fleet rollout", "fleet rollout", "fleet plan",
    ]  # fmt: skip


def test_the_first_plan_is_one_group(demo: Ran):
    first = step(demo, "fleet plan")[0]

    assert first[1] == "6 nodes change, 0 stay, 0 go"
    assert first[2].split(maxsplit=1) == ["+", "first application: K3s v1.36.3+k3s1  6 nodes, 2 sites"]
    assert "Refused  nothing" in first


def test_servers_come_one_at_a_time_and_before_agents(demo: Ran):
    first = step(demo, "fleet apply")[0]
    started = [line for line in first if line.startswith("started")]

    assert started == [
        "started 2 nodes (lyon-1-a, turin-1-a)",
        "started 2 nodes (lyon-1-b, turin-1-till-001)",
        "started 1 node (lyon-1-c)",
        "started 1 node (lyon-1-till-001)",
    ]
    assert first[-1].endswith("done: 6 applied")


def test_a_plan_after_the_apply_has_nothing_to_do(demo: Ran):
    assert step(demo, "fleet plan")[1][-1] == "Nothing to do: 6 nodes hold what git wants"


def test_the_second_plan_groups_the_upgrade_and_shows_the_lines_of_the_file(demo: Ran):
    second = step(demo, "fleet plan")[2]

    upgrade = next(line for line in second if "K3s" in line)
    assert upgrade.split(maxsplit=1)[0] == "~"
    assert "K3s v1.36.3+k3s1 -> v1.37.1+k3s1" in upgrade
    assert upgrade.endswith("6 nodes, 2 sites, restarts k3s one server at a time")
    changed = [line.split()[1] for line in second if line.startswith("  ~ /")]
    assert set(changed) == {"/etc/systemd/timesyncd.conf.d/acme.conf"}
    assert "      - NTP=ntp.acme.example" in second
    assert "      + NTP=ntp.acme.example time.acme.example" in second
    assert not any("registries.yaml" in line or "motd" in line for line in second)


def test_the_upgrade_restarts_k3s_and_ends_well(demo: Ran):
    second = step(demo, "fleet apply")[1]

    assert "applied 2 nodes (lyon-1-a, turin-1-a), k3s.service restarted on 2" in second
    assert second[-1].endswith("done: 6 applied")


def test_a_typo_ends_at_the_pilot(demo: Ran):
    plan, third = step(demo, "fleet plan")[3], step(demo, "fleet apply")[2]

    assert "Waves    pilot 4 nodes, everyone 2, servers before agents" in plan
    (time,) = [line for line in plan if line.startswith("Time")]
    assert re.fullmatch(r"Time     about \d+ (s|min): 20 nodes at once, \d+ s a batch \(the median of 8\)", time)
    assert [line for line in third if line.startswith("started")] == ["started 1 node (lyon-1-a)"]
    assert not any("turin" in line for line in third)
    assert (
        "wave pilot failed: 1 failed and 0 succeeded, so successThreshold 100% cannot be met; 0 applied, 1 failed, 3 blocked"
        in third
    )
    assert third[-2].endswith("paused: wave pilot failed; 0 applied, 1 failed, 3 blocked, 2 waiting")


def test_a_killed_rollout_is_resumed_where_it_was(demo: Ran):
    """What was under way is adopted, and each node was started once."""
    killed, (listed, resumed) = step(demo, "fleet apply")[3], step(demo, "fleet rollout")

    assert any("superseded by" in line for line in killed)
    assert killed[-2:] == ["started 1 node (lyon-1-c)", "Killed"]
    assert " running " in listed[1]
    assert resumed[0].endswith("; 1 batch run again")
    started = [line for line in [*killed, *resumed] if line.startswith("started")]
    nodes = ["lyon-1-a", "lyon-1-b", "lyon-1-c", "lyon-1-till-001", "turin-1-a", "turin-1-till-001"]
    assert started == [f"started 1 node ({name})" for name in nodes]
    applied = [line for line in [*killed, *resumed] if line.startswith("applied")]
    assert applied == [f"applied 1 node ({name})" for name in nodes]
    assert resumed[-1].endswith("done: 6 applied")
    assert step(demo, "fleet plan")[4][-1] == "Nothing to do: 6 nodes hold what git wants"


def test_status_names_the_commit_that_all_nodes_have(demo: Ran, folder: Path):
    status = step(demo, "fleet status")[0]
    head = execute(["git", "rev-parse", "--short=7", "HEAD~2"], folder / "work/two-sites").out.strip()

    assert status[0].startswith(f"git is at {head}; 6 nodes have been applied")
    assert any(line.split()[:3] == [head, "(git)", "6"] for line in status)


def test_what_it_left_on_the_nodes(demo: Ran, folder: Path):
    nodes = folder / "work/nodes"

    assert sorted(path.name for path in nodes.iterdir() if path.name != ".fleet") == [
        "lyon-1-a", "lyon-1-b", "lyon-1-c", "lyon-1-till-001", "turin-1-a", "turin-1-till-001",
    ]  # fmt: skip
    for node in ("lyon-1-a", "turin-1-till-001"):
        assert "v1.37.1+k3s1" in (nodes / node / "usr/local/bin/k3s").read_text()
    clock = (nodes / "lyon-1-b/etc/systemd/timesyncd.conf.d/acme.conf").read_text()
    assert "NTP=ntp.acme.example time.acme.example\n" in clock
    tokens = [(nodes / f"lyon-1-{letter}/etc/rancher/k3s/server-token") for letter in "abc"]
    assert {path.stat().st_mode & 0o777 for path in tokens} == {0o600}
    assert len({path.read_text() for path in tokens}) == 1
    assert not (nodes / "lyon-1-till-001/etc/rancher/k3s/server-token").exists()


def test_the_nodes_hold_all_of_it_without_the_records(demo: Ran, folder: Path):
    """`.fleet` is lost: a plan that asks the nodes finds that there is nothing to do."""
    copy = folder / "asked"
    shutil.copytree(folder / "work", copy, symlinks=True)
    shutil.rmtree(copy / "nodes/.fleet")

    ran = execute([str(BIN / "fleet"), "plan", "--refresh", "--sandbox", "../nodes"], copy / "two-sites")

    assert ran.code == 0, ran.text
    assert ran.out.splitlines()[-1] == "Nothing to do: 6 nodes hold what git wants"


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run: commits, rollouts, times, how fast it was, where the checkout is."""
    text = re.sub(r"\b[0-9a-f]{7,8}\b", "ID", text)
    text = re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}( UTC)?", "TIME", text)
    text = re.sub(r"about \d+ (s|min): (.*), \d+ s a batch", r"about LONG: \2, LONG a batch", text)
    text = re.sub(r"\w+@\S+(?= |;|$)", "WHO", text, flags=re.MULTILINE)
    text = re.sub(r"in the sandbox \S+", "in the sandbox FOLDER", text)
    last = ("# The nodes are folders", "  cd ")
    return [re.sub("  +", "  ", line.rstrip()) for line in text.strip().splitlines() if not line.startswith(last)]


def test_the_readme_shows_what_the_demo_prints(demo: Ran):
    shown = (ROOT / "README.md").read_text().partition("```console\n")[2].partition("\n```\n<!-- /demo -->")[0]

    assert plain(shown) == plain(demo.out)
