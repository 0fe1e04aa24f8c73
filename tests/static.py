"""The static lane: each tool once, over what it is for. Prints a line a tool, then `N passed, N failed`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLLECTION = "playbooks/ansible_collections/edgefleet/fleet"

TOOLS: dict[str, list[str]] = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "import-linter": ["lint-imports"],
    "vermin 3.8": [
        "vermin",
        "-q",
        "-t=3.8-",
        "--violations",
        "--no-tips",
        f"{COLLECTION}/plugins/modules/fleet_bundle.py",
    ],
    "pinned": [sys.executable, "-m", "pip", "check"],
}


def main() -> int:
    failed = 0
    for name, command in TOOLS.items():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        print(f"{name:14} {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode != 0:
            failed += 1
            print(done.stdout + done.stderr, flush=True)
    print(f"{len(TOOLS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
