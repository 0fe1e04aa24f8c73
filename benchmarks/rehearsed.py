"""100,000 pretend nodes through ten waves: ten copies of the example retail, by the true decider and a journal on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from measuring import Command, measure
from table import Row, at_most

FLEET = str(Path(sys.executable).parent / "fleet")
NODES, LIMIT, MEGABYTE = 100_000, 60.0, 1_000_000
POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {ring: pilot}}}
    - {name: one, limit: 1%}
    - {name: two, limit: 2%}
    - {name: five, limit: 5%}
    - {name: ten, limit: 10%}
    - {name: twenty, limit: 20%}
    - {name: thirty, limit: 30%}
    - {name: forty, limit: 40%}
    - {name: fifty, limit: 50%}
  disruptionBudget: {groupBy: [site], maxUnavailable: 2}
"""


def compare(retail: Path, runs: int, scale: int) -> list[Row]:
    """At a scale above 10 there is one copy, of some shops."""
    (retail / "rollout.yaml").write_text(POLICY)
    nodes = NODES // scale
    narrowed = ["--limit", str(nodes)] if nodes < 10_000 else []
    asked = ["--all", "--nodes", str(nodes), "--forks", "1000", "--json", *narrowed]
    found = retail / "found.json"
    commands = {
        share: Command([FLEET, "simulate", *asked, "--failures", share], retail, output=found) for share in ("0%", "2%")
    }
    took = measure(commands, runs)
    told = json.loads(found.read_bytes())
    if (told["nodes"], len(told["runs"][0]["waves"])) != (nodes, 10):
        raise SystemExit(f"{found}: {told['nodes']} nodes in {len(told['runs'][0]['waves'])} waves")
    rehearsed = told["runs"][0]
    if rehearsed["outcome"] != "finished" or rehearsed["counts"]["applied"] != nodes:
        raise SystemExit(f"{found}: {rehearsed['outcome']} with {rehearsed['counts']}")
    return [
        at_most("simulate, 100,000 nodes, ten waves", took["0%"].least, LIMIT, files=1, size=found.stat().st_size),
        Row("  highest resident memory", f"{took['0%'].memory / MEGABYTE:.0f} MB"),
        Row("  and a second run with 2 % failures", f"{took['2%'].least:.2f} s CPU"),
    ]
