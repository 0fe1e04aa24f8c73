"""Rollouts under a policy on real hosts: gates, a pilot that breaks, the way back, an approval, and a kill between waves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.ground import MANAGED, NAMES, NORTH, SOUTH, Ground

pytestmark = pytest.mark.timeout(400)
POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {country: it}}}
    - {name: rest, selector: {matchLabels: {country: fr}}, approval: true}
  successThreshold: 100%
  disruptionBudget: {groupBy: [site], maxUnavailable: 1}
  minSuccessTime: 6s
  onFailure: rollback
  gates:
    - {type: node, timeout: 20s}
    - {type: http, url: "http://10.77.0.1/health", timeout: 5s}
"""
APPLY = ("apply", "--yes", "--json", "--no-cluster", "--policy", "careful")
"""What stands in for K3s here has no API server: gates go by units."""


@pytest.fixture
def health(ground: Ground) -> Iterator[Path]:
    """The page that the http gate asks for: good, until a test takes it away."""
    ground.checkout.write("policies.yaml", POLICY)
    page = ground.lab.mirror.www / "health"
    page.write_text("well\n")
    yield page
    page.unlink(missing_ok=True)


def contents(ground: Ground, name: str) -> dict[str, tuple[Any, ...]]:
    """All of a host that fleet manages, but for its own records: what it is, and not when it was written."""
    host = ground.hosts[name]
    where = " ".join(MANAGED)
    lines = host.run(["sh", "-c", f"find {where} -xdev -type f -exec sha256sum {{}} +"]).splitlines()
    hashes = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    return {
        path: (state.kind, state.mode, state.owner, state.group, state.target, hashes.get(path))
        for path, state in host.tree(*MANAGED).items()
        if not path.startswith(("/var/lib/fleet", "/var/lib/rancher"))
    }


@pytest.mark.parametrize(
    ("command", "kind", "reason", "reached"),
    [
        ("/bin/false", "NodeFailed", "acme.service did not start", SOUTH[:1]),
        ("/bin/sleep 4", "NodeUnhealthy", "node: acme.service is ", SOUTH),
    ],
    ids=["a unit that does not start", "a unit that dies while the wave soaks"],
)
def test_a_change_that_breaks_the_pilot_is_rolled_back(
    ground: Ground, health: Path, command: str, kind: str, reason: str, reached: tuple[str, ...]
) -> None:
    """A server that fails keeps its agent from it; one that falls ill later does not."""
    before = {name: contents(ground, name) for name in SOUTH}
    others = {name: ground.moment(name) for name in NORTH}
    held = {name: ground.hosts[name].read("/var/lib/fleet/record.json") for name in NAMES}
    ground.checkout.edit("files/acme.service", "/bin/sleep infinity", command)
    ground.checkout.commit(f"acme runs {command}")

    said = ground.checkout.fleet(*APPLY, code=4)

    told = [event["event"] for event in said.events()]
    assert {event["node"] for event in said.events(kind)} == set(reached), said.text
    assert all(reason in event["reason"] for event in said.events(kind)), said.text
    assert told.index("RolloutWithdrawn") < told.index("RollbackBegun")
    assert told[-1] == "RolloutFinished", said.text
    touched = {name for event in said.events("BatchStarted") for name in event["nodes"]}
    assert touched == set(reached)
    assert ground.touched_since(others) == {}
    assert {name: contents(ground, name) for name in SOUTH} == before
    for name in SOUTH:
        assert ground.hosts[name].unit_show("acme.service", "ActiveState") == {"ActiveState": "active"}
        assert _digest(ground.hosts[name].read("/var/lib/fleet/record.json")) == _digest(held[name])

    plan = ground.checkout.plan("--refresh")
    assert (plan["changing"], sorted(plan["held_back"][said.events("RolloutWithdrawn")[0]["rollout_id"]])) == (
        0, sorted(NAMES),
    )  # fmt: skip


def test_a_gate_an_approval_and_a_kill_between_waves(ground: Ground, health: Path) -> None:
    ground.checkout.edit("profiles/base.yaml", "}} at {{", "}} in {{")
    ground.checkout.commit("Another motd")
    health.unlink()

    said = ground.checkout.fleet(*APPLY, code=4)
    (failed,) = said.events("GatesFailed")
    assert (failed["phase"], failed["wave"]) == ("before", "pilot")
    assert "404" in failed["reason"]
    assert said.events("BatchStarted") == []
    rollout = said.events("RolloutStarted")[0]["rollout_id"]

    health.write_text("well\n")
    running = ground.checkout.start("rollout", "resume", rollout, "--json", "--no-cluster")
    running.wait_for("ApprovalAwaited")
    running.kill()
    running.end()
    ground.checkout.fleet("rollout", "approve", rollout)
    said = ground.checkout.fleet("rollout", "resume", rollout, "--json", "--no-cluster")
    assert said.events()[-1]["event"] == "RolloutFinished", said.text

    story = ground.checkout.fleet("rollout", "show", rollout, "--json").events()
    applied = [event["node"] for event in story if event["event"] == "NodeApplied"]
    assert sorted(applied) == sorted(NAMES), "each node once"
    assert [event["wave"] for event in story if event["event"] == "WaveStarted"] == ["pilot", "rest"]
    assert _most_at_once(story) == {"north": 1, "south": 1}
    passed = [(event["phase"], event["wave"]) for event in story if event["event"] == "GatesPassed"]
    assert passed == [("before", "pilot"), ("after", "pilot"), ("before", "rest"), ("after", "rest")]
    for name in NAMES:
        assert " in " in ground.hosts[name].read("/etc/motd")


def _digest(record: str) -> str:
    return str(json.loads(record)["digest"])


def _most_at_once(story: list[dict[str, Any]]) -> dict[str, int]:
    """How many nodes of each site were under way at the same time, at most."""
    away: dict[str, set[str]] = {"north": set(), "south": set()}
    most = dict.fromkeys(away, 0)
    for event in story:
        if event["event"] == "BatchStarted":
            for name in event["nodes"]:
                away[name.split("-")[0]].add(name)
        elif event["event"] in ("NodeApplied", "NodeFailed", "NodeUnreachable"):
            away[event["site"]].discard(event["node"])
        most = {site: max(most[site], len(names)) for site, names in away.items()}
    return most
