"""2,000 nodes in 40 batches of 50: a rollout against the very projects of its batches, run by ansible-runner alone.

Nodes are folders, and empty at first. A site is a batch, so that both sides have the same ones; what a side costs is all of
the controller: Ansible's processes, and the modules that play the nodes, are in both.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from few import DOCUMENT, FLEET, Shops
from measuring import Command, measure, once
from table import Row

ALONE = Path(__file__).with_name("alone.py")
BATCHES, SIZE, LIMIT = 40, 50, 1.3
SANDBOX = DOCUMENT.replace("spec:\n", "spec:\n  connection: {type: sandbox}\n", 1)


class Side:
    """A fleet in which each site is a batch. Its nodes are folders below `.fleet` of its own."""

    def __init__(self, folder: Path, batches: int, size: int) -> None:
        self.size = size
        self.folder = Shops(folder, batches, size, SANDBOX).folder
        self.projects = [folder / f"batch-{number:02}" for number in range(batches)]

    @property
    def rollout(self) -> Command:
        return Command([FLEET, "apply", "--yes", "--forks", str(self.size)], self.folder, before=self.forget)

    def render(self) -> None:
        """The Ansible project of each batch."""
        for number, project in enumerate(self.projects):
            once(Command([FLEET, "render", str(project), "--site", f"shop-{number:03}"], self.folder))

    @property
    def alone(self) -> Command:
        argv = [sys.executable, str(ALONE), str(self.size), *map(str, self.projects)]
        return Command(argv, self.folder, before=self.forget)

    def forget(self) -> None:
        shutil.rmtree(self.folder / ".fleet", ignore_errors=True)

    def held(self) -> dict[str, str]:
        """By node, the digest that it holds."""
        records = (self.folder / ".fleet/sandbox").glob("*/var/lib/fleet/record.json")
        return {path.parts[-5]: json.loads(path.read_text())["digest"] for path in records}


def compare(folder: Path, runs: int, scale: int) -> list[Row]:
    batches, size = max(2, BATCHES // scale), max(2, SIZE // scale)
    ours, theirs = Side(folder / "ours", batches, size), Side(folder / "theirs", batches, size)
    theirs.render()
    took = measure({"fleet": ours.rollout, "alone": theirs.alone}, runs)
    if len(ours.held()) != batches * size or ours.held() != theirs.held():
        raise SystemExit(f"{len(ours.held())} nodes and {len(theirs.held())} are done, or do not hold the same")
    fleet, alone = took["fleet"].least, took["alone"].least
    ratio = fleet / alone
    return [
        Row(f"rollout, {batches * size:,} nodes in {batches} batches", f"{fleet:.1f} s CPU"),
        Row("  the same by ansible-runner alone", f"{alone:.1f} s CPU"),
        Row("  fleet against that", f"{ratio:.2f} times the CPU", f"<= {LIMIT:g} times", ratio <= LIMIT),
    ]
