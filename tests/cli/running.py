"""The command as users run it: a process of its own, on pipes or on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "fleet.cli"]
INTERRUPTIBLE = ["env", "--default-signal=INT", *COMMAND]
"""Whoever runs these tests in the background of a shell has all that they start ignore ^C."""
SECONDS = 120
TERMINAL_SECONDS = 60

FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  profiles: [base]
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  os:
    files:
      - {path: /etc/shop.conf, content: "greeting = hello {{ node.name }}\\n"}
"""
LYON = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon, labels: {ring: pilot}}
spec:
  nodes:
    - {name: lyon-a, role: none, address: 10.20.1.11}
    - {name: lyon-b, role: none, address: 10.20.1.12}
"""
PARIS = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: paris}
spec:
  nodes:
    - {name: paris-a, role: none, address: 10.20.2.11}
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "LINES"}}
    return {**clean, "PYTHONPATH": str(ROOT), "TERM": "xterm", **(extra or {})}


def run(*arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, given: str = "") -> Ran:
    """`fleet ARGUMENTS` on pipes."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment(env), input=given, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def run_on_terminal(
    *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, answers: Mapping[str, str] | None = None
) -> Ran:
    """`fleet ARGUMENTS` on a terminal of 100 columns; `answers` types a line once its question is on the screen."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, env=environment({"COLUMNS": "100", **(env or {})}),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    waiting = dict(answers or {})
    seen = ""
    deadline = time.monotonic() + TERMINAL_SECONDS
    while time.monotonic() < deadline:
        readable, _, _ = select.select([master], [], [], 0.2)
        if readable:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            seen += data.decode(errors="replace")
        for question in [question for question in waiting if question in seen]:
            os.write(master, f"{waiting.pop(question)}\n".encode())
    else:
        child.kill()
    code = child.wait(timeout=SECONDS)
    os.close(master)
    return Ran(code, seen, "")


def write_shop(folder: Path) -> Path:
    """Three plain hosts at two sites: nothing of K3s is needed to plan and apply them."""
    (folder / "sites").mkdir(parents=True)
    (folder / "fleet.yaml").write_text(FLEET)
    (folder / "sites" / "lyon.yaml").write_text(LYON)
    (folder / "sites" / "paris.yaml").write_text(PARIS)
    return folder
