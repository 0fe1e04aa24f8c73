"""What the decider costs: results of nodes a second, and memory, which grows with the nodes and no faster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from table import Row

HERE = Path(__file__).resolve().parent
TARGETS = {10_000: 30_000, 100_000: 25_000}


def decided(runs: int, scale: int) -> list[Row]:
    """The state that a decision is given stays as it is: deciding.py looks at its hash."""
    rows, memory = [], {}
    idle = told(0)["kilobytes"]
    for nodes, least in TARGETS.items():
        ran = [told(nodes // scale) for _ in range(runs)]
        rate = max(one["nodes"] / one["cpu"] for one in ran)
        memory[nodes] = (min(one["kilobytes"] for one in ran) - idle) / (nodes // scale)
        rows.append(Row(f"decider, {nodes:,} nodes", f"{rate:,.0f} nodes/s of CPU", f">= {least:,}", rate >= least))
    few, many = memory.values()
    return [*rows, Row("  memory for a node, of 10,000", f"{few:.1f} kB"),
            Row("  of 100,000", f"{many:.1f} kB", f"<= {few:.1f} kB and a tenth", many <= 1.1 * few)]  # fmt: skip


def told(nodes: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "deciding.py"), str(nodes)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{ran.args} ended with {ran.returncode}:\n{ran.stderr}")
    found: dict[str, float] = json.loads(ran.stdout)
    return found
