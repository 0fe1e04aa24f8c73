"""Mutated specs: no traceback, each within 2 s and 300 MB, at least 30 % of them still good.

1,000 in the ordinary run; FLEET_MUTATIONS says how many, FLEET_MUTATION_SEED where to begin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "mutations.py"


def test_mutated_specs_load_or_are_refused_in_words() -> None:
    count = int(os.environ.get("FLEET_MUTATIONS", "1000"))
    first = int(os.environ.get("FLEET_MUTATION_SEED", "0"))
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), str(count), str(first)], check=True, capture_output=True, text=True
    )
    result = json.loads(ran.stdout)
    assert result["failures"] == []
    assert result["count"] == count
    assert result["valid"] >= 0.3 * count, "mutants that are all broken test only the parser"
    assert result["refused"] >= 0.2 * count, "mutants that are all good test nothing"
    assert result["slowest"] < 2.0
    assert result["megabytes"] < 300
