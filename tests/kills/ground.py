"""Two sites of four nodes in a sandbox that hold one commit, and the rollout of the next one, again and again.

Each run of it begins with the very same folders at the very same place. Everything below is what a user would do: `git`,
`fleet apply`, `fleet rollout resume`, real Ansible, the real module.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.crash.applied import environment

BIN = Path(sys.executable).parent
INJECTED = Path(__file__).with_name("injected.py")
NODES = ("lyon-gate", "lyon-shed", "turin-gate", "turin-shed")
SECONDS = 60
SITES = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec: {profiles: [base], rolloutPolicy: standard}
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  batchSize: 2
  waves: [{name: pilot, selector: {matchLabels: {ring: pilot}}, successThreshold: 100%}, {name: everyone}]
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  timeZone: Europe/Paris
  network: {cidr: 10.20.1.0/24, gateway: 10.20.1.1}
  nodes:
    - {name: lyon-gate, role: none, arch: amd64, address: 10.20.1.11, labels: {ring: pilot}}
    - {name: lyon-shed, role: none, arch: amd64, address: 10.20.1.12}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: turin}
spec:
  timeZone: Europe/Rome
  network: {cidr: 10.20.2.0/24, gateway: 10.20.2.1}
  nodes:
    - {name: turin-gate, role: none, arch: amd64, address: 10.20.2.11}
    - {name: turin-shed, role: none, arch: amd64, address: 10.20.2.12}
"""
PROFILE = """\
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  os:
    files:
"""
UNIT = """\
      - path: /etc/systemd/system/till.service
        content: "[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n"
    units:
      - {name: till.service, enabled: true, state: started}
"""
FIRST = f"""\
{PROFILE}\
      - {{path: /etc/acme/till.conf, content: "one of {{{{ node.name }}}}", restart: [till.service]}}
      - {{path: /etc/acme/key, content: "a key", mode: "0644"}}
      - {{path: /etc/acme/old, content: "goes"}}
{UNIT}"""
SECOND = f"""\
{PROFILE}\
      - {{path: /etc/acme/till.conf, content: "two of {{{{ node.name }}}}", restart: [till.service]}}
      - {{path: /etc/acme/key, content: "a key", mode: "0600"}}
      - {{path: /etc/acme/more/new, content: "comes"}}
{UNIT}"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Ground:
    """`nodes` is the sandbox, `.fleet` in it included. `log` is where points are written down."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.nodes, self.base = folder, folder / "nodes", folder / "base"
        self.repository, self.log = folder / "repository", folder / "points"
        (folder / "home").mkdir(parents=True)
        self._env = environment(folder / "home", INJECTED.read_text())
        self.repository.mkdir()
        (self.repository / "sites.yaml").write_text(SITES)
        self.git("init", "--quiet")
        self._commit(FIRST)
        self.ok("apply", "--yes")
        self._commit(SECOND)
        self.nodes.rename(self.base)

    def renew(self) -> None:
        """As before the rollout, whatever a test has left that failed."""
        self.clear()
        shutil.rmtree(self.nodes, ignore_errors=True)
        shutil.copytree(self.base, self.nodes, symlinks=True)
        self.log.unlink(missing_ok=True)

    @property
    def runs(self) -> Path:
        return self.nodes / ".fleet/runs"

    def clear(self) -> None:
        """Ends what of it lives."""
        while living := processes(self.runs):
            for one in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            time.sleep(0.01)

    def start(self, *words: str, run: str = "", at: str = "") -> subprocess.Popen[str]:
        """What it says goes to files: a child that outlives it would hold a pipe open."""
        told = {"KILLS_LOG": str(self.log), "KILLS_RUN": run, "KILLS_AT": at} if run else {}
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            return subprocess.Popen(
                [str(BIN / "fleet"), *words, "--sandbox", str(self.nodes)],
                cwd=self.repository, env={**self._env, **told}, text=True, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    def fleet(self, *words: str, run: str = "") -> Ran:
        process = self.start(*words, run=run)
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return self.said(code)

    def ok(self, *words: str, run: str = "") -> str:
        ran = self.fleet(*words, run=run)
        assert ran.code == 0, f"fleet {' '.join(words)} ended with {ran.code}\n{ran.out}{ran.err}"
        return ran.out

    def said(self, code: int) -> Ran:
        return Ran(code, (self.folder / "out").read_text(), (self.folder / "err").read_text())

    def rollouts(self) -> list[dict[str, Any]]:
        """Of the second commit, the newest first."""
        head = self.git("rev-parse", "HEAD").strip()
        found = json.loads(self.ok("rollout", "list", "--json"))["rollouts"]
        return [one for one in found if self.commit_of(one["id"]) == head]

    def commit_of(self, rollout: str) -> str:
        return str(self.query("SELECT commit_id FROM rollouts WHERE id = ?", rollout)[0][0])

    def events(self, rollout: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok("rollout", "show", rollout, "--json").splitlines()]

    def open_batches(self) -> set[str]:
        return {batch for (batch,) in self.query("SELECT batch FROM effects")}

    def query(self, sql: str, *values: str) -> list[Any]:
        """Of a copy of the journal, so that it is not touched."""
        with tempfile.TemporaryDirectory(dir=self.folder) as copy:
            for suffix in ("", "-wal"):
                path = self.nodes / f".fleet/state.db{suffix}"
                if path.exists():
                    shutil.copy(path, copy)
            connection = sqlite3.connect(f"{copy}/state.db")
            try:
                return connection.execute(sql, values).fetchall()
            finally:
                connection.close()

    def points(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.repository, env=self._env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def _commit(self, profile: str) -> None:
        (self.repository / "profile.yaml").write_text(profile)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Describe the sites")


def alive(pid: int) -> str:
    """The state of a process as proc(5) has it; empty where it is gone, or only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    return "" if state in "ZX" else state


class Process(NamedTuple):
    """One that carries the mark of a batch."""

    pid: int
    batch: str
    command: str


def processes(runs: Path) -> list[Process]:
    """Living ones whose batch has its folder in `runs`."""
    found, mark = [], f"FLEET_RUN={runs}/".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        batch = next((word[len(mark) :].decode() for word in environ.split(b"\0") if word.startswith(mark)), "")
        if batch and alive(int(entry.name)):
            found.append(Process(int(entry.name), batch, command))
    return found
