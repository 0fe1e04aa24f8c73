"""`tests/soak.py`: it goes on where it was stopped, says what is wrong, and writes evidence only when nothing is."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def soak(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = ["--allow-dirty", "--state", str(folder / "state"), "--evidence", str(folder / "evidence")]
    command = [sys.executable, "tests/soak.py", "mutations", "--seed", "7", "--count", "60", *places, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def state(folder: Path, **changes: object) -> None:
    """As if the lane had been stopped: what the first whole run left, changed."""
    path = folder / "state" / "mutations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_it_writes_what_it_did(tmp_path: Path):
    done = soak(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    evidence = json.loads((tmp_path / "evidence/mutations.json").read_text())
    assert list(evidence) == ["lane", "commit", "seed", "counts", "most", "minutes"]
    assert (evidence["lane"], evidence["seed"], len(evidence["commit"].split()[0])) == ("mutations", 7, 40)
    counts = evidence["counts"]
    assert (counts["mutants"], counts["failures"]) == (60, 0)
    assert counts["valid"] + counts["refused"] == 60


def test_it_goes_on_where_it_was(tmp_path: Path):
    soak(tmp_path)
    state(tmp_path, done=40, counts={"mutants": 40, "valid": 20, "refused": 20})

    done = soak(tmp_path)

    assert done.stdout.splitlines()[0] == "goes on at 40 of 60"
    assert json.loads((tmp_path / "evidence/mutations.json").read_text())["counts"]["mutants"] == 60


def test_another_commit_begins_anew(tmp_path: Path):
    soak(tmp_path)
    state(tmp_path, done=40, commit="0" * 40)

    assert soak(tmp_path).stdout.splitlines()[0].startswith("60 of 60")


def test_what_is_wrong_is_said_and_is_no_evidence(tmp_path: Path):
    soak(tmp_path)
    (tmp_path / "evidence/mutations.json").unlink()
    state(
        tmp_path, counts={"mutants": 60, "valid": 17, "refused": 11},
        most={"slowest_seconds": 2.5, "megabytes": 301}, failures=[{"seed": 9, "error": "KeyError"}],
    )  # fmt: skip

    done = soak(tmp_path)

    assert done.returncode == 1
    assert done.stdout.splitlines()[1:-1] == [
        "seed 9: KeyError",
        "only 17 of 60 mutants are valid: expected 30 %",
        "only 11 of 60 mutants are refused: expected 20 %",
        "one took 2.5 s: expected less than 2 s",
        "one took 301 MB: expected less than 300 MB",
    ]
    assert not (tmp_path / "evidence/mutations.json").exists()


def test_a_waves_lane_that_says_less_or_is_slow_is_wrong() -> None:
    lanes = runpy.run_path(str(ROOT / "tests/soak.py"))
    good = {"tests": 3, "hosts": 20, "sites": 5, "caught_up": 6, "probes": 4000, "over_budget": 0}

    def wrong(counts: dict[str, int], share: float) -> list[str]:
        return lanes["wrong_waves"](
            lanes["Progress"]("waves", "", 1, 1, counts=counts, most={"outside_per_mille": share})
        )

    assert wrong(good, 100) == []
    assert wrong(good | {"hosts": 8, "over_budget": 2}, 101) == [
        "8 hosts: expected 20",
        "2 moments over budget: expected none",
        "10.1 % of the time outside Ansible, gates and soaks: expected 10 % at most",
    ]
    assert len(lanes["wrong_waves"](lanes["Progress"]("waves", "", 1, 1))) == 7, "a lane that says nothing"
