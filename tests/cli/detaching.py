"""Rollouts that go on by themselves, for tests that look at them from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.running import Ran, run

SLOW = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: oslo}
spec:
  nodeSets:
    - {name: till, count: 9, role: none, start: 10.20.3.10}
"""
BOX = ("--sandbox", "nodes")
SECONDS = 60


def slow(shop: Path) -> Path:
    """A dozen nodes, which take a while one after the other."""
    (shop / "sites" / "oslo.yaml").write_text(SLOW)
    return shop


def detached(shop: Path) -> dict[str, Any]:
    """The rollout of the whole shop, one node at a time, in a process of its own."""
    ran = run("apply", *BOX, "--forks", "1", "--detach", "--json", cwd=shop)
    assert (ran.code, ran.err) == (0, ""), ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


@contextmanager
def going_on(shop: Path) -> Iterator[dict[str, Any]]:
    """The same, and brought to its rest in the end, whatever the test did."""
    found = detached(slow(shop))
    try:
        yield found
    finally:
        run("rollout", "cancel", found["rollout_id"], *BOX, cwd=shop)
        gone(found["pid"])


def rollout(verb: str, found: dict[str, Any], shop: Path, *options: str) -> Ran:
    return run("rollout", verb, found["rollout_id"], *BOX, *options, cwd=shop)


def row(found: dict[str, Any], shop: Path) -> dict[str, Any]:
    rollouts = json.loads(run("rollout", "list", *BOX, "--json", cwd=shop).out)["rollouts"]
    (one,) = [each for each in rollouts if each["id"] == found["rollout_id"]]
    return dict(one)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.2)


def gone(pid: int) -> None:
    """Returns once a process has ended: it is nobody's child here, so it leaves no corpse."""
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists() and state(pid) != "Z":
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.1)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
