"""Gates and rollbacks as a person sees them: real Ansible, folders for nodes, a command on the controller as a gate."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.command import Ran, Repository, environment
from tests.e2e.pages import served
from tests.kills.ground import processes

pytestmark = pytest.mark.timeout(400)
BOX = ("--sandbox", "../nodes")
MOTD = "/etc/motd"
POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {site: lyon-1}}}
  onFailure: rollback
  gates:
    - {type: command, command: [./smoke.sh, "{wave}"], timeout: 30s}
"""
SMOKE = """\
#!/bin/sh
cat > ../asked.$1
test ! -e ../broken || { echo "tills of $1 do not answer"; exit 7; }
"""


@pytest.fixture
def rolling(repository: Repository) -> Repository:
    """Applied once; then a policy with a gate, and a change of a file on every node, committed."""
    repository.apply()
    (repository.folder / "policies.yaml").write_text(POLICY)
    smoke = repository.folder / "smoke.sh"
    smoke.write_text(SMOKE)
    smoke.chmod(0o755)
    repository.edit("fleet.yaml", "  vars:\n", "  rolloutPolicy: standard\n  vars:\n")
    repository.edit("profiles.yaml", "kept by fleet, do", "kept by fleet (2), do")
    repository.commit("Another motd")
    return repository


def hashes(repository: Repository) -> dict[str, str]:
    """Of every file of every node, but for fleet's own."""
    nodes = [each.name for each in repository.nodes.iterdir() if not each.name.startswith(".")]
    found = {}
    for node in nodes:
        for path in repository.files(node):
            there = repository.nodes / node / path.lstrip("/")
            data = there.readlink().as_posix().encode() if there.is_symlink() else there.read_bytes()
            found[f"{node}{path}"] = hashlib.sha256(data).hexdigest()
    return found


def digests(repository: Repository) -> dict[str, str]:
    return {
        path.parents[3].name: json.loads(path.read_text())["digest"]
        for path in sorted(repository.nodes.glob("*/var/lib/fleet/record.json"))
    }


def first_id(ran: Ran) -> str:
    found = re.search(r"^rollout (\w+) of", ran.out, re.MULTILINE)
    assert found, ran.text
    return found[1]


def test_a_gate_that_fails_after_the_pilot_brings_the_pilot_back(rolling: Repository) -> None:
    before, held = hashes(rolling), digests(rolling)
    # The gate passes before the pilot, and not after it: it breaks while the pilot is brought forward.
    rolling.edit(
        "smoke.sh", "#!/bin/sh\n", '#!/bin/sh\ngrep -q \'"phase": *"after"\' && touch ../broken\nset -- "$1"\n'
    )
    rolling.commit("A gate that breaks")
    ran = rolling.apply(code=4)
    name = first_id(ran)
    lines = ran.out.splitlines()
    assert "gates before wave pilot: 1 of 1 passed" in lines
    assert any(line.startswith("gates after wave pilot did not pass: command ./smoke.sh pilot: ") for line in lines)
    assert f"rollout {name} withdrawn: wave pilot failed; 4 applied, 2 waiting" in lines
    assert f"rolls back rollout {name}: nodes go back to what they held before it" in lines
    assert lines[-1].endswith("done: 4 applied")
    assert hashes(rolling) == before
    assert digests(rolling) == held

    plan = rolling.plan(code=0)
    assert "Nothing to do: 0 nodes hold what git wants, 6 are held back" in plan.out
    assert f"rollout {name} was rolled back" in plan.out
    again = rolling.apply()
    assert "6 are held back" in again.out
    assert hashes(rolling) == before
    caught = rolling.fleet("rollout", "catch-up", "--yes", "--vault-password-file", str(rolling.password), *BOX)
    assert "applied" not in caught.out
    assert hashes(rolling) == before


def test_retry_brings_it_all_the_same_in_all_waves(rolling: Repository) -> None:
    (rolling.folder.parent / "broken").touch()
    ran = rolling.apply(code=4)
    assert "the gates before wave pilot do not let it begin" in ran.out, ran.out
    name = first_id(ran)
    vault = ("--vault-password-file", str(rolling.password))
    back = rolling.fleet("rollout", "rollback", name, "--yes", *vault, *BOX)
    assert "superseded" in back.out
    assert back.err.startswith("no node has anything to go back to")
    assert "6 are held back" in rolling.plan(code=0).out

    (rolling.folder.parent / "broken").unlink()
    retried = rolling.fleet("rollout", "retry", name, "--yes", *vault, *BOX)
    assert "wave pilot over: 4 applied" in retried.out
    assert retried.out.splitlines()[-1].endswith("done: 6 applied")
    assert "fleet (2)" in rolling.read("turin-1-a", MOTD)
    rolling.plan(code=0)


def test_what_changes_in_git_is_no_longer_held_back(rolling: Repository) -> None:
    ran = rolling.apply()
    name = first_id(ran)
    vault = ("--vault-password-file", str(rolling.password))
    back = rolling.fleet("rollout", "rollback", name, "--yes", *vault, *BOX)
    assert [line for line in back.out.splitlines() if line.startswith("wave ")] == [
        "wave everyone: 2 nodes", "wave everyone over: 2 applied", "wave pilot: 4 nodes", "wave pilot over: 4 applied",
    ]  # fmt: skip
    assert "fleet, do" in rolling.read("lyon-1-a", MOTD)
    rolling.edit("profiles.yaml", "fleet (2)", "fleet (3)")
    rolling.commit("A third motd")
    assert "held back" not in rolling.plan(code=3).out
    rolling.apply()
    assert "fleet (3)" in rolling.read("turin-1-a", MOTD)


@pytest.fixture
def tills(tmp_path: Path) -> Iterator[str]:
    """Where each node is asked: lyon-1-b alone is not well, until there is a file `mended`."""

    def page(path: str) -> tuple[int, bytes]:
        is_ill = path == "/lyon-1-b" and not (tmp_path / "mended").exists()
        return 200, b"closed" if is_ill else b"open"

    with served(page) as url:
        yield url


def ask_each_node(rolling: Repository, tills: str) -> None:
    gate = f'{{type: http, url: "{tills}/{{node.name}}", contains: open, timeout: 1s}}'
    policy = POLICY.replace('{type: command, command: [./smoke.sh, "{wave}"], timeout: 30s}', gate)
    (rolling.folder / "policies.yaml").write_text(policy.replace("  onFailure", "  successThreshold: 50%\n  onFailure"))
    rolling.commit("A gate that asks each node")


def test_a_node_that_its_gate_is_against_goes_back_alone(rolling: Repository, tills: str, tmp_path: Path) -> None:
    ask_each_node(rolling, tills)
    before, held = hashes(rolling), digests(rolling)

    ran = rolling.apply(code=4)

    name, lines = first_id(ran), ran.out.splitlines()
    (ill,) = [line for line in lines if line.startswith("unhealthy ")]
    assert ill.startswith("unhealthy lyon-1-b: http ")
    assert "200 without the text 'open'" in ill
    assert "going back 1 node (lyon-1-b): a gate is against what they hold" in lines
    assert "back lyon-1-b: it holds what it held before" in lines
    assert lines.index("back lyon-1-b: it holds what it held before") < len(lines) - 1
    assert f"rollout {name} ended: 4 applied, 1 failed, 1 blocked" in lines, ran.out
    after = hashes(rolling)
    assert {path for path in before if path.startswith("lyon-1-b/") and before[path] != after[path]} == set()
    assert digests(rolling)["lyon-1-b"] == held["lyon-1-b"]
    for node in ("lyon-1-a", "lyon-1-c", "turin-1-a"):
        assert "fleet (2)" in rolling.read(node, MOTD)
    plan = rolling.plan(code=3)
    assert "held back on 1 node (lyon-1-b), until it changes in git" in plan.out
    shown = rolling.fleet("rollout", "show", name, "--nodes", *BOX)
    assert shown.out.splitlines()[-2].endswith("6 nodes: 4 succeeded, 1 rolled-back, 1 skipped")
    log = rolling.fleet("node", "log", "lyon-1-b", *BOX)
    assert f"{name}  went back to what it held before, " in log.out

    (tmp_path / "mended").touch()
    vault = ("--vault-password-file", str(rolling.password))
    retried = rolling.fleet("rollout", "retry", name, "--yes", *vault, *BOX)
    assert retried.out.splitlines()[-1].endswith("done: 2 applied"), retried.out
    assert "fleet (2)" in rolling.read("lyon-1-b", MOTD)
    rolling.plan(code=0)


@pytest.mark.parametrize("with_child", [False, True], ids=["its child goes on", "with its child"])
def test_killed_while_a_node_goes_back(rolling: Repository, tills: str, *, with_child: bool) -> None:
    ask_each_node(rolling, tills)
    before, held = hashes(rolling), digests(rolling)
    vault = ("--vault-password-file", str(rolling.password))
    with subprocess.Popen(
        [str(rolling.command), "apply", "--yes", "--json", "--sandbox", str(rolling.nodes), *vault],
        cwd=rolling.folder, env=environment(), stdout=subprocess.PIPE, text=True,
    ) as apply:  # fmt: skip
        assert apply.stdout is not None
        events = (json.loads(line) for line in apply.stdout)
        name = next(event["rollout_id"] for event in events if event["event"] == "RolloutStarted")
        going = next(event for event in events if event["event"] == "NodesRollingBack")
        apply.kill()
    if with_child:
        for process in processes(rolling.nodes / ".fleet/runs"):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    assert going["nodes"] == ["lyon-1-b"]

    resumed = rolling.fleet("rollout", "resume", name, *vault, *BOX, code=4)

    assert "back lyon-1-b: it holds what it held before" in resumed.out.splitlines(), resumed.out
    after = hashes(rolling)
    assert {path for path in before if path.startswith("lyon-1-b/") and before[path] != after[path]} == set()
    assert digests(rolling)["lyon-1-b"] == held["lyon-1-b"]
    shown = json.loads(rolling.fleet("rollout", "show", name, "--nodes", "--json", *BOX).out)
    assert shown["counts"] == {"succeeded": 4, "rolled-back": 1, "skipped": 1}
    assert "held back on 1 node (lyon-1-b)" in rolling.plan(code=3).out


def test_what_a_gate_is_told(rolling: Repository) -> None:
    rolling.apply()
    asked = json.loads(Path(rolling.folder.parent / "asked.pilot").read_text())
    assert asked["phase"] == "after"
    assert asked["wave"] == "pilot"
    assert sorted(node["name"] for node in asked["nodes"]) == ["lyon-1-a", "lyon-1-b", "lyon-1-c", "lyon-1-till-001"]
