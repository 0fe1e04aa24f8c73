"""Runs the lanes of tests/lanes.toml, two at a time: `python tests/lanes.py [LANE...]`.

Each lane prints its minutes and its counts, and fails above its cap. A lane whose needs this machine lacks is skipped
loudly; where CI=true that is a failure. The last line is `N passed, N failed`, of tests.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".work" / "lanes"
AT_ONCE = 2
_COUNT = re.compile(r"(\d+) (passed|failed|error|errors|skipped|xfailed|xpassed)\b")

GO = "/usr/local/go/bin/go"

NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (lambda: os.geteuid() == 0, "run it as root"),
    "linux": (lambda: sys.platform == "linux", "only Linux has systemd hosts"),
    "namespaces": (lambda: Path("/proc/self/ns/net").exists(), "the kernel has no network namespaces"),
    "strace": (lambda: shutil.which("strace") is not None, "apt-get install strace"),
    "go": (lambda: bool(shutil.which("go") or shutil.which(GO)), "Go 1.26 or later, on PATH or in /usr/local/go"),
    "etcd": (lambda: shutil.which("etcd") is not None, "apt-get install etcd-server"),
    "mmdebstrap": (lambda: shutil.which("mmdebstrap") is not None, "apt-get install mmdebstrap"),
    "systemd-nspawn": (lambda: shutil.which("systemd-nspawn") is not None, "apt-get install systemd-container"),
}


@dataclass
class Lane:
    name: str
    run: list[str]
    cap: float
    needs: list[str] = field(default_factory=list)
    minutes: float = 0.0
    passed: int = 0
    failed: int = 0
    outcome: str = ""
    why: str = ""


def main(names: list[str]) -> int:
    known = {
        name: Lane(name, value["run"], value["cap"], value.get("needs", []))
        for name, value in tomllib.loads((ROOT / "tests/lanes.toml").read_text()).items()
    }
    if unknown := [name for name in names if name not in known]:
        print(f"no lane {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    lanes = [known[name] for name in names or known]
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    queue = sorted(lanes, key=lambda lane: -lane.cap)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not queue:
                    return
                lane = queue.pop(0)
            carry_out(lane)
            with lock:
                report(lane)

    workers = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return summary(lanes, (time.monotonic() - started) / 60)


def carry_out(lane: Lane) -> None:
    missing = [f"{need}: {NEEDS[need][1]}" for need in lane.needs if not NEEDS[need][0]()]
    if missing:
        lane.why = "; ".join(missing)
        lane.outcome = "FAILED" if os.environ.get("CI") == "true" else "SKIPPED"
        lane.failed += lane.outcome == "FAILED"
        return
    log = LOGS / f"{lane.name}.log"
    started = time.monotonic()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONHASHSEED": "random"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            lane.run, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = process.wait(lane.cap * 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            code = -1
            lane.why = f"above its cap of {lane.cap} min"
    lane.minutes = (time.monotonic() - started) / 60
    count(lane, log.read_text(errors="replace"))
    if code != 0 and not lane.failed:
        lane.failed = 1
    if lane.passed == 0 and not lane.failed:
        lane.failed, lane.why = 1, "ran no test"
    lane.outcome = "FAILED" if lane.failed else "ok"


def count(lane: Lane, text: str) -> None:
    """Counts of pytest's closing line, or of ours."""
    for line in reversed(text.splitlines()):
        found = {word: int(number) for number, word in _COUNT.findall(line)}
        if "passed" in found or "failed" in found or "error" in found or "errors" in found:
            lane.passed = found.get("passed", 0)
            lane.failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
            return


def report(lane: Lane) -> None:
    why = f"  {lane.why}" if lane.why else ""
    print(
        f"{lane.name:12} {lane.outcome:8} {lane.minutes:5.1f} of {lane.cap} min  "
        f"{lane.passed} passed, {lane.failed} failed{why}",
        flush=True,
    )
    if lane.outcome == "FAILED":
        log = LOGS / f"{lane.name}.log"
        if log.exists() and not lane.why.startswith("root"):
            tail = log.read_text(errors="replace").splitlines()[-120:]
            print("\n".join(f"    | {line}" for line in tail), flush=True)


def summary(lanes: list[Lane], minutes: float) -> int:
    for lane in lanes:
        if lane.outcome == "SKIPPED":
            print(f"SKIPPED lane {lane.name}: {lane.why}")
    print(f"{len(lanes)} lanes in {minutes:.1f} min; sum of lanes {sum(lane.minutes for lane in lanes):.1f} min")
    passed, failed = sum(lane.passed for lane in lanes), sum(lane.failed for lane in lanes)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
