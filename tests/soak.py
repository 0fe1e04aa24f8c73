"""What is longer than a lane, by hand: `make soak LANE=NAME`, or `python tests/soak.py NAME [--seed N] [--count N]`.

A lane is stopped at any time and goes on where it was: its state is below .work/soak, and holds for one commit, seed and
count. When it came through it writes docs/evidence/NAME.json, from which docs quote.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
CAP_MINUTES = 45


@dataclass
class Progress:
    """`done` of `count` cases since `seed`; `counts` are sums, `most` highest values, `seconds` of all its runs."""

    lane: str
    commit: str
    seed: int
    count: int
    done: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    failures: list[dict[str, object]] = field(default_factory=list)

    def add(self, cases: int, seconds: float, found: Found) -> None:
        self.done += cases
        self.seconds += seconds
        for name, value in found.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        for name, most in found.most.items():
            self.most[name] = max(self.most.get(name, most), most)
        self.failures += found.failures


@dataclass(frozen=True)
class Found:
    """What one step of a lane found."""

    counts: dict[str, int]
    most: dict[str, float]
    failures: list[dict[str, object]]


@dataclass(frozen=True)
class Lane:
    """`step` runs `size` cases from a seed; `wrong` names what the sums say against the lane; `paths` are what it tests."""

    count: int
    size: int
    step: Callable[[int, int], Found]
    wrong: Callable[[Progress], list[str]]
    paths: tuple[str, ...]


def mutate(cases: int, seed: int) -> Found:
    """tests/property/load/mutations.py says what is mutated, and what may come out."""
    program = str(ROOT / "tests/property/load/mutations.py")
    said = subprocess.run([sys.executable, program, str(cases), str(seed)], check=True, capture_output=True, text=True)
    result = json.loads(said.stdout)
    counts = {"mutants": result["count"], "valid": result["valid"], "refused": result["refused"]}
    return Found(counts, {"slowest_seconds": result["slowest"], "megabytes": result["megabytes"]}, result["failures"])


def wrong_mutations(progress: Progress) -> list[str]:
    found = []
    if progress.counts["valid"] < 0.3 * progress.count:
        found.append(f"only {progress.counts['valid']} of {progress.count} mutants are valid: expected 30 %")
    if progress.counts["refused"] < 0.2 * progress.count:
        found.append(f"only {progress.counts['refused']} of {progress.count} mutants are refused: expected 20 %")
    if progress.most["slowest_seconds"] >= 2:
        found.append(f"one took {progress.most['slowest_seconds']} s: expected less than 2 s")
    if progress.most["megabytes"] >= 300:
        found.append(f"one took {progress.most['megabytes']} MB: expected less than 300 MB")
    return found


def crash(_cases: int, seed: int) -> Found:
    """tests/crash/rounds.py says what a round is; a step is one."""
    command = [sys.executable, "-m", "tests.crash.rounds", str(seed)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    result = json.loads(said.stdout)
    return Found(result["counts"], {}, result["failures"])


def wrong_crash(progress: Progress) -> list[str]:
    """What is there at least: a lane that counts less has missed something."""
    return [
        f"{progress.counts.get(name, 0)} {name}: expected {least}"
        for name, least in CRASH_LEAST.items()
        if progress.counts.get(name, 0) < least
    ]


def hosts(_cases: int, seed: int) -> Found:
    """One file of tests of bad days, all of its tests; or 500 connections at once."""
    return of_pytest([HOSTS[seed % len(HOSTS)]], seed, {"FLEET_EVERY_DAY": "1", "FLEET_CONNECTIONS": "500"})


def k3s(_cases: int, seed: int) -> Found:
    """All tests of clusters on hosts in one run, for those that share hosts go on from each other."""
    return of_pytest(["tests/hosts/k3s"], seed, {"FLEET_EVERY_CLUSTER": "1"})


def waves(_cases: int, seed: int) -> Found:
    """20 hosts in 5 sites on a bad day, and two days more; shares and seconds are of one rollout, and no sums."""
    found = of_pytest(["tests/hosts/waves"], seed, {"FLEET_STREET": "20"}, counts=True)
    most = {name: count for name, count in found.counts.items() if name.endswith(MEASURES)}
    return Found({name: count for name, count in found.counts.items() if name not in most}, most, found.failures)


def wrong_waves(progress: Progress) -> list[str]:
    """A lane that counts less has left something out; `over_budget` are moments at which a site had too many hosts down."""
    counts, share = progress.counts, progress.most.get("outside_per_mille", 1000)
    found = [
        f"{counts.get(name, 0)} {name}: expected {least}"
        for name, least in WAVES_LEAST.items()
        if counts.get(name, 0) < least
    ]
    if counts.get("over_budget", 1):
        found.append(f"{counts.get('over_budget', 'no word of')} moments over budget: expected none")
    if share > 100:
        found.append(f"{share / 10:.1f} % of the time outside Ansible, gates and soaks: expected 10 % at most")
    return found


def kills(_cases: int, seed: int) -> Found:
    """A tenth of all kills of tests/kills; any ten seeds in a row are all of them."""
    return of_pytest(["tests/kills"], seed, {"FLEET_EVERY_KILL": "1", "TURN": str(seed)}, counts=True)


def of_pytest(paths: list[str], seed: int, more: dict[str, str], *, counts: bool = False) -> Found:
    """With `counts`, what tests tell with `record_property` is added up; but `..._points` are how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["--quiet", "-o", "junit_family=xunit1", f"--junit-xml={report}"]
        command = [sys.executable, "-m", "pytest", *paths, *options]
        said = subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False)
        suite = ET.parse(report).getroot()[0]
    wrong = said.returncode != 0
    failures = [{"seed": seed, "error": f"{' '.join(paths)}:\n{said.stdout}{said.stderr}"}] if wrong else []
    told = [(one.attrib["name"], int(one.attrib["value"])) for one in suite.iter("property")] if counts else []
    found = {"tests": int(suite.get("tests", "0")), "files": len(paths)}
    for name, value in told:
        if not name.endswith(POINTS):
            found[name] = found.get(name, 0) + value
    return Found(found, {name: value for name, value in told if name.endswith(POINTS)}, failures)


def wrong_hosts(progress: Progress) -> list[str]:
    """A lane that counts less has left something out."""
    least = {"files": len(HOSTS), "tests": HOSTS_TESTS}
    return [
        f"{progress.counts[name]} {name}: expected {few}" for name, few in least.items() if progress.counts[name] < few
    ]


def wrong_kills(progress: Progress) -> list[str]:
    """Each point once with its child and once without it, and each run that goes on."""
    found = {name.removesuffix(POINTS): 2 * int(most) for name, most in progress.most.items()} | {"twice": KILLED_TWICE}
    wrong = [
        f"{progress.counts.get(f'{kind}_kills', 0)} kills of {kind}: expected {least}"
        for kind, least in found.items()
        if progress.counts.get(f"{kind}_kills", 0) < least
    ]
    return wrong if len(found) == KILL_KINDS + 1 else [*wrong, f"points are of {sorted(found)}"]


def wrong_k3s(progress: Progress) -> list[str]:
    found = progress.counts["tests"]
    return [] if found >= K3S_TESTS else [f"{found} tests: expected {K3S_TESTS}"]


HOSTS = (
    *sorted(f"tests/hosts/days/{path.name}" for path in (ROOT / "tests/hosts/days").glob("test_*.py")),
    "tests/hosts/test_many.py",
)
HOSTS_TESTS = 33
K3S_TESTS = 45
WAVES_LEAST = {"tests": 3, "hosts": 20, "sites": 5, "caught_up": 6, "probes": 4000}
POINTS, MEASURES = "_points", ("_per_mille", "_seconds")
KILL_ROUNDS = 10
KILL_KINDS = 8
KILLED_TWICE = 100
CRASH_ROUNDS = 35
CRASH_LEAST = {
    "kills": 800,
    "gone_back": 600,
    "healing_runs_killed": 1000,
    "power_cut_states": 1200,
    "power_cuts_healed": 1200,
    "killed_then_cut": 60,
    "kills_on_hosts": 630,
    "journal_states": 100,
}
LANES = {
    "mutations": Lane(10_000, 500, mutate, wrong_mutations, ("fleet", "tests/property/load")),
    "hosts": Lane(len(HOSTS), 1, hosts, wrong_hosts, ("fleet", "playbooks", "tests/hosts", "tests/lab")),
    "waves": Lane(1, 1, waves, wrong_waves, ("fleet", "playbooks", "tests/hosts/waves", "tests/lab")),
    "k3s": Lane(1, 1, k3s, wrong_k3s, ("fleet", "playbooks", "tests/hosts/k3s", "tests/lab")),
    "kills": Lane(KILL_ROUNDS, 1, kills, wrong_kills, ("fleet", "playbooks", "tests/kills", "tests/crash/trees.py")),
    "crash": Lane(
        CRASH_ROUNDS, 1, crash, wrong_crash, ("fleet", "playbooks", "tests/crash", "tests/hosts/test_crash.py")
    ),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make soak LANE=", description="Runs one long lane.")
    parser.add_argument("lane", choices=LANES, metavar="LANE", help=f"one of {', '.join(LANES)}")
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--count", type=int, default=0, help="cases, instead of the lane's own number")
    parser.add_argument("--evidence", type=Path, default=ROOT / "docs/evidence", help="the folder to write to")
    parser.add_argument("--state", type=Path, default=ROOT / ".work/soak", help="the folder of what is half done")
    parser.add_argument("--allow-dirty", action="store_true", help="test what is not committed, and say so")
    options = parser.parse_args(arguments)
    lane = LANES[options.lane]
    commit = revision(lane.paths, allow_dirty=options.allow_dirty)
    state = options.state / f"{options.lane}.json"
    progress = resumed(state, Progress(options.lane, commit, options.seed, options.count or lane.count))
    carry_on(lane, progress, state)
    return conclude(lane, progress, options.evidence)


def revision(paths: tuple[str, ...], *, allow_dirty: bool) -> str:
    """HEAD, if it is what is tested: evidence names a commit that anybody can take."""
    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", *paths)
    if not changed:
        return head
    if allow_dirty:
        return f"{head} and uncommitted changes"
    raise SystemExit(f"commit first: evidence names a commit, and this is not it:\n{changed}")


def resumed(state: Path, fresh: Progress) -> Progress:
    """What is half done of the very same, or else a new start."""
    if state.exists():
        known = Progress(**json.loads(state.read_text()))
        if (known.commit, known.seed, known.count) == (fresh.commit, fresh.seed, fresh.count):
            print(f"goes on at {known.done:,} of {known.count:,}", flush=True)
            return known
    return fresh


def carry_on(lane: Lane, progress: Progress, state: Path) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    while progress.done < progress.count:
        if progress.seconds > CAP_MINUTES * 60:
            raise SystemExit(f"above its cap of {CAP_MINUTES} min, at {progress.done:,} of {progress.count:,}")
        cases = min(lane.size, progress.count - progress.done)
        began = time.monotonic()
        found = lane.step(cases, progress.seed + progress.done)
        progress.add(cases, time.monotonic() - began, found)
        beside = state.with_suffix(".new")
        beside.write_text(json.dumps(asdict(progress)))
        beside.replace(state)
        print(f"{progress.done:,} of {progress.count:,}, {progress.seconds / 60:.1f} min", flush=True)


def conclude(lane: Lane, progress: Progress, folder: Path) -> int:
    wrong = [f"seed {failure['seed']}: {failure['error']}" for failure in progress.failures] + lane.wrong(progress)
    print("\n".join([*wrong, f"{progress.lane}: {progress.counts}, {progress.most}"]))
    if wrong:
        return 1
    evidence = {
        "lane": progress.lane,
        "commit": progress.commit,
        "seed": progress.seed,
        "counts": {**progress.counts, "failures": 0},
        "most": progress.most,
        "minutes": round(progress.seconds / 60, 1),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{progress.lane}.json"
    path.write_text(json.dumps(evidence, indent=1) + "\n")
    print(f"wrote {path}")
    return 0


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
