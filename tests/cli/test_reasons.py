"""Why nodes did not come through, afterwards: node log, rollout show by reason, status --offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.cli.lines.node_log import node_log_lines
from fleet.cli.lines.offline import offline_lines
from fleet.cli.redaction import log_redacted
from fleet.model.node_log import NodeLog, NodeRun
from fleet.model.status import Offline, OfflineNode
from tests.cli.running import run

BOX = ("--sandbox", "nodes")
AT = 1_750_000_000.0


def again(words: str) -> str:
    return f"fleet {words}"


@pytest.fixture
def broken(shop: Path) -> tuple[Path, str]:
    """A folder stands where two nodes' file is to be; and the id of the rollout that found out."""
    for name in ("lyon-a", "lyon-b"):
        (shop / "nodes" / name / "etc" / "shop.conf" / "in-the-way").mkdir(parents=True)
    ran = run("apply", *BOX, cwd=shop)
    assert ran.code == 4, ran
    return shop, ran.out.split()[1]


def test_equal_reasons_once_and_every_node_with_v(broken: tuple[Path, str]) -> None:
    shop, rollout = broken
    ran = run("rollout", "show", rollout, *BOX, cwd=shop)
    one = "fleet node log lyon-a --output --sandbox nodes says more of one"
    assert ran.out.splitlines()[-4:] == [
        "x look: /etc/shop.conf: is not a regular file: 2 nodes (lyon-a, lyon-b)",
        f"{one}; fleet rollout show {rollout} -v --sandbox nodes names every node",
        f"rollout {rollout} ended: 1 applied, 2 failed",
        "fleet apply --sandbox nodes tries the rest again",
    ]
    detailed = run("rollout", "show", rollout, "-v", *BOX, cwd=shop).out
    assert [line.split(":")[0] for line in detailed.splitlines() if line.startswith("failed ")] == [
        "failed lyon-a", "failed lyon-b",
    ]  # fmt: skip
    assert "x look" not in detailed


def test_a_node_s_log_names_rollout_batch_and_reason_and_what_ansible_printed(broken: tuple[Path, str]) -> None:
    shop, rollout = broken
    ran = run("node", "log", "lyon-a", *BOX, cwd=shop)
    first, entry, after = ran.out.splitlines()
    assert first == "lyon-a: 1 entry, of 1 rollout"
    assert f"  {rollout}  failed: look: /etc/shop.conf: is not a regular file (batch 0001, " in entry
    assert after == (
        "fleet node log lyon-a --output --sandbox nodes shows what Ansible printed (kept of the newest 20 rollouts)"
    )
    found = json.loads(run("node", "log", "lyon-a", "--output", "--json", *BOX, cwd=shop).out)
    (entry,) = found["runs"]
    assert (entry["rollout"], entry["outcome"], entry["batch"]) == (rollout, "failed", f"{rollout}-0001")
    printed = "\n".join(entry["output"])
    assert "fatal: [lyon-a]: FAILED!" in printed
    assert "paris-a" not in printed
    assert "lyon-b" not in printed


def test_a_node_that_nobody_knows(shop: Path) -> None:
    ran = run("node", "log", "lyon-z", *BOX, cwd=shop)
    assert (ran.code, ran.out) == (2, "")
    assert "lyon-z" in ran.err
    assert run("node", "log", "lyon-a", *BOX, cwd=shop).out == "lyon-a: no rollout ever touched it\n"


def test_how_long_output_is_kept_is_said_by_the_environment(shop: Path) -> None:
    ran = run("apply", *BOX, cwd=shop, env={"FLEET_KEPT_OUTPUT": "0"})
    assert ran.code == 0, ran
    assert (
        "    Ansible's output is not there: it is kept of the newest 20 rollouts only (FLEET_KEPT_OUTPUT)"
        in run("node", "log", "lyon-a", "--output", *BOX, cwd=shop).out.splitlines()
    )
    for wrong in ("many", "-1", "100000"):
        ran = run("node", "log", "lyon-a", *BOX, cwd=shop, env={"FLEET_KEPT_OUTPUT": wrong})
        assert ran.code == 2
        assert f"FLEET_KEPT_OUTPUT: expected a number of rollouts, 0 to 9999, found `{wrong}`" in ran.err


def test_what_was_rolled_back_says_by_which_rollout(shop: Path) -> None:
    assert run("apply", *BOX, cwd=shop).code == 0
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", "welcome"))
    rollout = run("apply", *BOX, cwd=shop).out.split()[1]
    back = run("rollout", "rollback", rollout, "--yes", *BOX, cwd=shop).out.split()[1]
    shown = run("rollout", "show", rollout, *BOX, cwd=shop).out.splitlines()
    assert shown[-1] == f"rolled back by rollout {back}: 3 nodes (fleet rollout show {back} --sandbox nodes)"
    assert "rolled back by" not in run("rollout", "show", back, *BOX, cwd=shop).out
    log = run("node", "log", "lyon-a", *BOX, cwd=shop).out.splitlines()
    assert f"  {rollout}  applied, 1 changed; rolled back by {back} (" in log[2]
    assert f"  {back}  applied, 1 changed; went back to what it held before {rollout} (" in log[3]


def test_what_each_outcome_is_called() -> None:
    runs = (
        NodeRun(AT, "7f3c", "applied", "4be1f02aa", "7f3c-0002", AT - 41, changed=3, restarted=("chrony.service",),
                updated=2, rebooted=True, warnings=("slow disk",), undone_by="8a4d"),
        NodeRun(AT, "7f3c", "unhealthy", reason="http: 503", undone_by="8a4d"),
        NodeRun(AT, "7f3d", "blocked", reason="server s failed", undone_by="8a4e"),
        NodeRun(AT, "8a4d", "unreachable", batch="8a4d-0001", reason="timed out", undoes="7f3c"),
        NodeRun(0, "beef", "running", batch="beef-0001", began=AT),
    )  # fmt: skip
    lines = [line.text for line in node_log_lines(NodeLog("a", runs, has_more=True), again, with_output=False)]
    when = "2025-06-15 15:06:40Z"
    applied = "applied, 3 changed, restarted chrony.service, 2 packages updated, rebooted (warning: slow disk)"
    assert lines[:-1] == [
        "a: the newest 5 entries, of 4 rollouts",
        f"{when}  7f3c  {applied}; rolled back by 8a4d (batch 0002 of 4be1f02, 41 s)",
        f"{when}  7f3c  unhealthy: http: 503; rolled back by 8a4d (no batch)",
        f"{when}  7f3d  blocked: server s failed (no batch)",
        f"{when}  8a4d  unreachable: timed out; was to go back to what it held before 7f3c (batch 0001)",
        f"{when}  beef  under way (batch 0001)",
    ]


def test_what_looks_like_a_secret_in_the_output_is_hidden() -> None:
    token = "K10" + "ab" * 32 + "::server:" + "cd" * 16
    key = ("-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaA", "-----END OPENSSH PRIVATE KEY-----")
    log = NodeLog("a", (NodeRun(AT, "7f3c", "failed", output=(f"ok: [a] => {token}", *key, "ok: [a]")),))
    assert log_redacted(log).runs[0].output == ("ok: [a] => (hidden)", "(hidden)", "ok: [a]")


def test_nobody_is_offline(shop: Path) -> None:
    ran = run("status", "--offline", *BOX, cwd=shop)
    assert ran == (
        0, "no node that was asked is without an answer\n\nfleet plan --refresh --sandbox nodes asks every node\n", "",
    )  # fmt: skip
    ran = run("status", "--offline", "--certificates", *BOX, cwd=shop)
    assert (ran.code, ran.out) == (2, "")


def test_who_is_offline_by_site_the_newest_first() -> None:
    found = Offline(
        (
            OfflineNode("nice-a", "nice", AT + 60, AT + 60, 0.0, "no route to host"),
            *(
                OfflineNode(f"lyon-{at}", "lyon", AT, AT + 60, AT - 3600, f"host 10.0.0.{at}: timed out", "7f3c")
                for at in range(4)
            ),
        )
    )
    lines = [line.text for line in offline_lines(found, 0, again, with_nodes=False)]
    assert [" ".join(line.split()) for line in lines] == [
        "5 nodes at 2 sites did not answer when they were last asked",
        "",
        "SITE NODES SINCE LAST ANSWER SUCH AS WHY",
        "nice 1 2025-06-15 15:07 UTC never nice-a no route to host",
        "lyon 4 2025-06-15 15:06 UTC 2025-06-15 14:06 UTC lyon-0, lyon-1, lyon-2 and 1 more host ADDRESS: timed out",
        "",
        "fleet plan --refresh asks again; fleet node log nice-a shows one",
    ]
    detailed = [line.text for line in offline_lines(found, 0, again, with_nodes=True)]
    assert detailed[4:8] == [
        f"lyon-{at}  lyon  2025-06-15 15:06 UTC  2025-06-15 14:06 UTC  host 10.0.0.{at}: timed out" for at in range(4)
    ]
