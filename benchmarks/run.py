"""The benchmark table: `make bench`, or `python benchmarks/run.py [JOB...] [--runs N]`.

CPU seconds (user and system, with children), the least of five runs by default, the sides of a comparison in turn. It
writes below .work/bench, to a new folder each time, and removes it. A target that is not met is printed, and is no
failure; two sides that do not make the same are.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from jobs import JOBS, LONG, Ground
from table import Row, table

FLEET = Path(__file__).resolve().parents[1] / "fleet"
FOLDER = Path(__file__).resolve().parents[1] / ".work" / "bench"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Prints the benchmark table.")
    parser.add_argument(
        "jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; without it all but {', '.join(LONG)}"
    )
    parser.add_argument("--runs", type=int, default=5, help="how often each command runs (5)")
    parser.add_argument("--scale", type=int, default=1, help="divides node counts, to try the benchmarks themselves")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.jobs if name not in JOBS]:
        parser.error(f"no job {unknown[0]}; there are {', '.join(JOBS)}")
    names = options.jobs or [name for name in JOBS if name not in LONG]
    # As pip does for a wheel: an installed fleet is compiled, whatever PYTHONDONTWRITEBYTECODE says here.
    compileall.compile_dir(FLEET, quiet=1)
    print(machine())
    print(f"CPU seconds (user + system, with children), the least of {options.runs} runs")
    print(flush=True)
    rows: list[Row] = []
    for name in names:
        folder = FOLDER / f"{name}-{os.getpid()}"
        folder.mkdir(parents=True)
        try:
            began = time.monotonic()
            rows += JOBS[name](Ground(folder, options.runs, options.scale))
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder)
    print(table(rows))
    return 0


def machine() -> str:
    """What the figures were made on, in one line."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    names = [line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")]
    name = f"{names[0]}, " if names else ""
    return f"{datetime.now(UTC):%Y-%m-%d}: {name}{os.cpu_count()} CPUs, {system}, {python}"


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
