"""Runs of fleet_bundle.py as a program of its own, under strace, on a real file system."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.crash import strace, worlds
from tests.crash.cases import Step
from tests.crash.disk import Disk
from tests.crash.processes import kin
from tests.crash.store import Store
from tests.crash.strace import Call
from tests.crash.trees import Tree, put, take

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "playbooks/ansible_collections/edgefleet/fleet/plugins/modules/fleet_bundle.py"
DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True)
class Recording:
    """What a run asked for, on the way from `start` to `end`, below `root`. `said` is what it printed."""

    root: str
    start: Tree
    calls: list[Call]
    end: Tree
    said: str

    def disk(self) -> Disk:
        """As it was before the first call."""
        return Disk(self.root, self.start, str(ROOT), kin(self.calls))


def run(
    step: Step,
    folder: Path,
    *driver: str,
    start: Store | None = None,
    trace: str = strace.TRACED,
    log: Path | None = None,
) -> Recording:
    """One run on the way of a step, from its start or from another one; `driver` are options of driver.py."""
    root = folder.resolve() / "root"
    shutil.rmtree(root, ignore_errors=True)
    begin = step.start if start is None else start.tree()
    put(begin, str(root), start and start.inodes())
    arguments = ["--root", str(root), "--secrets-stdin"]
    if step.after.is_given_back:
        arguments += ["--retire", "--node", worlds.NODE, "--fleet", worlds.FLEET]
    else:
        arguments += ["--bundle", worlds.write_bundle(step.after, str(folder / "project"))]
    command = [sys.executable, str(DRIVER), *driver, str(MODULE), *arguments]
    secrets = json.dumps(step.after.secrets)
    calls, said = strace.record(command, log or folder / "strace", trace=trace, cwd=ROOT, stdin=secrets)
    return Recording(str(root), begin, calls, take(str(root)), said)
