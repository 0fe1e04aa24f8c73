"""All that `make test` does by turns, for `make soak LANE=crash`: `python -m tests.crash.rounds SEED` runs one round.

A round is pytest with some of these tests at one turn. Any COUNT seeds in a row are all rounds. Prints one JSON document:
what was counted, and what failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KILL, POWER = "tests/crash/test_kill.py", "tests/crash/test_power.py"
TURNS = {
    "tests/crash": [0],
    "tests/crash -m by_turn": [1, 2],
    f"{KILL}::test_killed_it_can_also_go_back": [*range(1, 8)],
    f"{POWER}::test_the_next_run_heals_what_a_power_cut_has_left": [*range(1, 8)],
    f"{POWER}::test_killed_healed_and_then_the_power_goes": [*range(8, 40, 8)],
    f"{KILL}::test_the_run_that_heals_is_killed_as_well": [*range(14, 96, 14)],
    "tests/hosts/test_crash.py": [*range(8)],
}
"""What the words of a round say is done at these turns. Those that the first round has done already are not among them."""


@dataclass(frozen=True)
class Round:
    words: tuple[str, ...]
    turn: int


def rounds() -> Iterator[Round]:
    for words, turns in TURNS.items():
        for turn in turns:
            yield Round(tuple(words.split()), turn)


ROUNDS = tuple(rounds())
COUNT = len(ROUNDS)


def run(one: Round, report: str) -> tuple[Counter[str], list[str]]:
    """What was counted, and what was wrong."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        *one.words,
        "--quiet",
        "-o",
        "junit_family=xunit1",
        "--junit-xml",
        report,
    ]
    env = {**os.environ, "TURN": str(one.turn), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    counts, wrong = Counter[str](), []
    if done.returncode != 0:
        wrong.append(f"{' '.join(one.words)} at turn {one.turn} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    for case in ET.parse(report).iter("testcase"):
        counts["tests"] += 1
        for told in case.iter("property"):
            counts[told.attrib["name"]] += int(told.attrib["value"])
    return counts, wrong


def main(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = run(ROUNDS[seed % COUNT], f"{folder}/report.xml")
    print(json.dumps({"counts": counts, "failures": [{"seed": seed, "error": one} for one in wrong]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
