"""One `fleet apply` in a sandbox under strace: what the controller and its child ask of the disk, and what is printed when."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash import strace
from tests.crash.disk import Disk
from tests.crash.processes import kin
from tests.crash.strace import Call, Handle
from tests.crash.trees import Tree, take

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STATE = "/nodes/.fleet"
DATABASE = f"{STATE}/state.db"
# A shared-memory file is made anew from the rest; the others are only there while a batch runs, or are for people.
LEFT_OUT = re.compile(
    r"/nodes/\.fleet/(state\.db-shm|output/.*|runs/[^/]+/(project|artifacts|tmp|env|output\.txt|child\.log)(/.*)?)"
)
TRACED = ",".join(name for name in strace.TRACED.split(",") if name not in ("read", "readv"))
"""What is read would be most of the recording. A write after a read to the same file would end up elsewhere: see `Disk`."""

SPEC = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec: {profiles: [base]}
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec: {os: {files: [{path: /etc/acme/greeting, content: "hello {{ node.name }}"}]}}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  timeZone: Europe/Paris
  network: {cidr: 10.20.1.0/24, gateway: 10.20.1.1}
  nodes:
    - {name: gate, role: none, arch: amd64, address: 10.20.1.11}
    - {name: shed, role: none, arch: amd64, address: 10.20.1.12}
"""


@dataclass(frozen=True)
class Applied:
    """What was asked for below `root`, which was empty. `end` is what is there now, `printed` the events in order."""

    root: str
    cwd: str
    calls: list[Call]
    end: Tree
    printed: list[dict[str, Any]]

    def disk(self) -> Disk:
        return Disk(self.root, {}, self.cwd, kin(self.calls), lambda path: LEFT_OUT.fullmatch(path) is not None)

    def walk(self) -> Iterator[tuple[Call, Disk, bool]]:
        """Each call, the disk after it, and whether it changed something there."""
        disk = self.disk()
        for call in self.calls:
            is_change = disk.feed(call)
            yield call, disk, is_change


def apply(folder: Path, prelude: str = "") -> Applied:
    """`prelude` is Python that the controller runs before anything else."""
    root, repository, home = folder / "world", folder / "repository", folder / "home"
    for one in (root, repository, home):
        one.mkdir(parents=True)
    (repository / "fleet.yaml").write_text(SPEC)
    (repository / ".gitignore").write_text(".fleet/\n")
    env = environment(home, prelude)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Describe the site"]):
        subprocess.run(["git", *words], cwd=repository, env=env, check=True, capture_output=True)
    command = [str(BIN / "fleet"), "apply", "--yes", "--json", "--forks", "1", "--sandbox", str(root / "nodes")]
    calls, said = strace.record(command, folder / "strace", trace=TRACED, cwd=repository, env=env)
    events = [json.loads(line) for line in said.splitlines()]
    return Applied(str(root), str(repository), calls, take(str(root)), events)


def environment(home: Path, prelude: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    author = {f"GIT_{who}_{what}": "ops" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    (home / "sitecustomize.py").write_text(prelude)
    return {**kept, **author, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PYTHONPATH": f"{home}:{ROOT}"}


def events_printed(call: Call) -> list[dict[str, Any]]:
    """What a call prints of events, if it prints any."""
    to, data = (*call.args, None, None)[:2]
    if call.name != "write" or not isinstance(to, Handle) or to.number != 1 or not isinstance(data, bytes):
        return []
    lines = [json.loads(line) for line in data.splitlines() if line.startswith(b'{"format":"fleet.event/')]
    return [{key: value for key, value in line.items() if key != "format"} for line in lines]


class Damaged(Exception):  # noqa: N818 - that is what it is
    """A database that SQLite does not open, or does not find whole."""


@dataclass(frozen=True)
class Journal:
    """What a database says that happened, and which effects it still has open."""

    events: list[dict[str, Any]]
    effects: list[str]


def journal(tree: Tree, folder: Path) -> Journal:
    """As SQLite finds it in files of a tree. Raises Damaged."""
    for suffix in ("", "-wal", "-journal", "-shm"):
        path = folder / f"state.db{suffix}"
        path.unlink(missing_ok=True)
        if leaf := tree.get(DATABASE + suffix):
            path.write_bytes(leaf.data)
    if not (folder / "state.db").exists():
        return Journal([], [])
    connection = sqlite3.connect(folder / "state.db")
    try:
        if (found := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            raise Damaged(str(found))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "events" not in tables:
            return Journal([], [])
        events = [json.loads(body) for (body,) in connection.execute("SELECT body FROM events ORDER BY seq")]
        return Journal(events, [batch for (batch,) in connection.execute("SELECT batch FROM effects")])
    except sqlite3.Error as error:
        raise Damaged(str(error)) from error
    finally:
        connection.close()
