"""What the journal costs: nodes a second that are durable, bytes for each transaction, going on after kill -9, looking back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from measuring import Command, environment, measure
from table import Row, at_most

HERE = Path(__file__).resolve().parent
FLEET = str(Path(sys.executable).parent / "fleet")
MANY, FEW, LARGE = 10_000, 1_000, 100_000


def journal(folder: Path, runs: int, scale: int) -> list[Row]:
    many, few, large = (nodes // scale for nodes in (MANY, FEW, LARGE))
    fast = max(
        (rolled(folder, many, 1, 1000, 1000) for _ in range(runs)), key=lambda ran: ran["nodes"] / ran["seconds"]
    )
    rate = fast["nodes"] / fast["seconds"]
    # As many nodes and as many transactions on both sides, one batch at a time, into the WAL alone.
    small, wide = rolled(folder, few, large // few, 50, 0), rolled(folder, large, 1, 50, 0)
    ratio = wide["bytes"] / small["bytes"]
    resumed = min(resume(folder / f"killed-{run}", many) for run in range(runs))
    return [
        Row(
            "durable, 10,000 nodes in batches of 50",
            f"{rate:,.0f} nodes/s, {fast['nodes'] / fast['cpu']:,.0f} a second of CPU",
            ">= 5,000 nodes/s", rate >= 5000,
        ),
        Row("bytes a transaction, 100 rollouts of 1,000", f"{small['bytes'] / 1000:.1f} kB"),
        Row("  one of 100,000 nodes", f"{wide['bytes'] / 1000:.1f} kB, {ratio:.2f} times", "<= 1.1 times", ratio <= 1.1),
        at_most("resume of 10,000 after kill -9, to its first new batch", resumed, 1),
        *looking_back(folder / "killed-0", runs),
    ]  # fmt: skip


def looking_back(folder: Path, runs: int) -> list[Row]:
    """At a rollout of which half was done when its controller was killed."""
    commands = {
        name: Command([FLEET, *name.split()], folder) for name in ("rollout show 0000", "rollout list", "journal check")
    }
    took = measure(commands, runs)
    return [
        at_most("rollout show, 10,000 nodes", took["rollout show 0000"].least, 0.4),
        Row("rollout list", f"{took['rollout list'].least:.2f} s CPU"),
        Row("journal check, 10,000 nodes", f"{took['journal check'].least:.2f} s CPU"),
    ]


def resume(folder: Path, nodes: int) -> float:
    state = folder / ".fleet"
    killed = child(state, "kill", nodes)
    if killed.returncode != -9:
        raise SystemExit(f"it was to be killed half way, and ended with {killed.returncode}: {killed.stderr}")
    copy = folder.with_name(f"{folder.name}-resumed")
    shutil.copytree(state, copy)
    return told_by(child(copy, "resume", nodes))["cpu"]


def rolled(folder: Path, nodes: int, rollouts: int, forks: int, checkpoint: int) -> dict[str, float]:
    state = folder / f"rolled-{nodes}"
    found = told_by(child(state, "roll", nodes, rollouts, forks, checkpoint))
    shutil.rmtree(state)
    return found


def told_by(ran: subprocess.CompletedProcess[str]) -> dict[str, float]:
    if ran.returncode:
        raise SystemExit(f"{ran.args} ended with {ran.returncode}:\n{ran.stderr}")
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def child(state: Path, *words: object) -> subprocess.CompletedProcess[str]:
    verb, *rest = map(str, words)
    argv = [sys.executable, str(HERE / "rolling.py"), verb, str(state), *rest]
    env = {**environment(), "PYTHONPATH": str(HERE.parent)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
