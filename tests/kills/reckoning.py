"""What must be alike whoever was killed: the nodes, the results that are told, and how often each node was applied."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleet.adapters.ansible.memory import memory_of
from tests.crash.trees import Tree, take
from tests.kills.death import Scene
from tests.kills.ground import NODES, Ground, processes

STATE = "/var/lib/fleet"
PATIENCE = 10.0
"""Seconds in which what a run has in memory is cleared away by its watcher."""
AFTER_A_KILL = {"RolloutTakenOver"}


@dataclass(frozen=True)
class Outcome:
    """`nodes` by name: all but what tells of this one run. `lines` by node: of the log that it keeps, since the commit."""

    nodes: dict[str, Tree]
    restarts: dict[str, int]
    lines: dict[str, list[dict[str, Any]]]
    applied: dict[str, dict[str, Any]]
    steps: Counter[str]
    wrong: list[str]


def outcome(ground: Ground) -> Outcome:
    wrong: list[str] = []
    head = ground.git("rev-parse", "HEAD").strip()
    events = ground.events(ground.rollouts()[0]["id"])
    nodes, restarts, lines = {}, {}, {}
    for name in NODES:
        tree = take(str(ground.nodes / name))
        lines[name] = _lines(tree.pop(f"{STATE}/applications.jsonl").data, head)
        restarts[name] = _restarts(tree)
        _settle(tree, f"{STATE}/record.json", {"at", "epoch"})
        nodes[name] = tree
    told = [event for event in events if event["event"] == "NodeApplied"]
    applied = {event["node"]: _plain(event) for event in told}
    if len(told) != len(applied):
        wrong.append(f"told more than once: {Counter(event['node'] for event in told)}")
    steps = Counter(json.dumps(_step(event), sort_keys=True) for event in events if event["event"] not in AFTER_A_KILL)
    return Outcome(nodes, restarts, lines, applied, steps, wrong)


def differences(found: Outcome, due: Outcome, twice: set[str]) -> list[str]:
    """`twice` are nodes that were applied again: what that run changed is less than what the undisturbed one did."""
    wrong = list(found.wrong)
    for name in NODES:
        mine, other = found.nodes[name], due.nodes[name]
        wrong += [f"{name}:{path} differs" for path in sorted(mine | other) if mine.get(path) != other.get(path)]
        if name not in twice and found.restarts[name] != due.restarts[name]:
            wrong.append(f"{name}: its unit was restarted {found.restarts[name]} times, not {due.restarts[name]}")
    for name in NODES:
        left = {"changed", "restarted"} if name in twice else set()
        mine, other = ({k: v for k, v in one.applied.get(name, {}).items() if k not in left} for one in (found, due))
        wrong += [f"{name} is told as {mine}, not {other}"] if mine != other else []
    if found.steps != due.steps:
        wrong.append(f"told in other steps: more {found.steps - due.steps}, less {due.steps - found.steps}")
    return wrong


def applications(ground: Ground, found: Outcome, scenes: Sequence[Scene]) -> tuple[list[str], Counter[str]]:
    """Whether a child was started only where it may be, and a node applied again only by that. A scene for each kill; what
    ran before the first one is run 1.
    """
    counts = Counter[str]()
    starts = [point for point in ground.points() if (point["kind"], point["when"]) == ("spawn", "before")]
    wrong = [f"{one['batch']} is started beside {one['beside']}" for one in starts if one["beside"]]
    known = batches(ground)
    for number, scene in enumerate(scenes, 1):
        begun = Counter(one["batch"] for one in starts if one["run"] == str(number + 1))
        later = {one["batch"] for one in starts if int(one["run"]) > number}
        wrong += [
            f"{batch} is at work, and not in the journal" for batch in scene.spawned - scene.open - scene.finished
        ]
        wrong += [f"{batch} is at work without an intent" for batch in scene.spawned - scene.intended]
        wrong += [f"{batch} is at work, and nobody can know who does it" for batch in scene.nameless]
        wrong += [f"{batch} had its result, and is started again" for batch in scene.finished & later]
        wrong += [f"{batch} was at work, and is started again" for batch in scene.adoptable & begun.keys()]
        wrong += [f"{batch} is started {times} times in one run" for batch, times in begun.items() if times > 1]
        counts["results_found"] += len(scene.finished & scene.open)
        counts["adopted"] += len(scene.adoptable & scene.open)
        counts["run_again"] += len(scene.spawned & begun.keys())
    total = Counter(one["batch"] for one in starts)
    for batch, node in ((batch, node) for batch, nodes in known.items() for node in nodes):
        lines = found.lines[node]
        counts["nodes_applied_again"] += len(lines) > 1
        if not 1 <= len(lines) <= total[batch]:
            wrong.append(f"{node} was applied {len(lines)} times, by {total[batch]} runs of {batch}")
        if [line["epoch"] for line in lines] != sorted(line["epoch"] for line in lines):
            wrong.append(f"{node} was applied by an older controller after a newer one: {lines}")
        if any(line["before"] == line["digest"] for line in lines):
            wrong.append(f"{node} was complete, and an application changed it: {lines}")
    return wrong, counts


def remains(ground: Ground) -> list[str]:
    """What nobody needs any more."""
    runs = sorted(ground.runs.iterdir())
    deadline = time.monotonic() + PATIENCE
    while True:
        living = [f"{one} lives" for one in processes(ground.runs)]
        wrong = living + [f"{path.name} is still in memory" for path in runs if memory_of(path) is not None]
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    wrong += [f"{path} lies about" for path in ground.runs.rglob(".*")]
    wrong += [f"{path} lies about" for path in ground.nodes.rglob(".fleet-*")]
    plan = ground.fleet("plan")
    return wrong + ([f"a plan has something to do, or does not go: {plan}"] if plan.code else [])


def batches(ground: Ground) -> dict[str, list[str]]:
    """Their nodes."""
    events = ground.events(ground.rollouts()[0]["id"])
    return {one["batch_id"]: one["nodes"] for one in events if one["event"] == "BatchStarted"}


def applied_twice(ground: Ground) -> set[str]:
    """Nodes of batches of which more than one child was at work."""
    begun = Counter(one["batch"] for one in ground.points() if (one["kind"], one["when"]) == ("spawn", "before"))
    return {node for batch, nodes in batches(ground).items() if begun[batch] > 1 for node in nodes}


def _lines(text: bytes, commit: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines() if line.endswith(b"}")]
    return [line for line in found if line["commit"] == commit]


def _settle(tree: Tree, path: str, left: set[str]) -> dict[str, Any]:
    """The JSON of a file without some of its keys, also in the tree."""
    value = {key: each for key, each in json.loads(tree[path].data).items() if key not in left}
    tree[path] = tree[path]._replace(data=json.dumps(value, sort_keys=True).encode())
    return value


def _restarts(tree: Tree) -> int:
    """How often the unit was restarted; the rest of what stands for systemd stays in the tree."""
    path = f"{STATE}/units.json"
    units = json.loads(tree[path].data)
    restarts = int(units["till.service"].pop("restarts"))
    tree[path] = tree[path]._replace(data=json.dumps(units, sort_keys=True).encode())
    return restarts


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    """Without the name of the rollout."""
    return {**event, "batch_id": event["batch_id"].rpartition("-")[2]}


def _step(event: dict[str, Any]) -> dict[str, Any]:
    """A step of the rollout as a whole: what of its nodes is compared by node."""
    left = {"rollout_id", "epoch", "at", "changed", "restarted"}
    kept = {key: value for key, value in event.items() if key not in left}
    return _plain(kept) if "batch_id" in kept else kept
