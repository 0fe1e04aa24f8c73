"""Which part of what is too much for one run is looked at: another one with each commit, so that all come in turn."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def turn(parts: int) -> int:
    """From 0 on, below `parts`. TURN in the environment says it; else the commit, and 0 where there is no repository."""
    if given := os.environ.get("TURN", ""):
        return int(given) % parts
    command = ["git", "-C", str(ROOT), "rev-list", "--count", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) % parts if done.returncode == 0 else 0
