"""kill -9 on real hosts, with their own systemd: at every eighth fault point, another eighth with each commit.

tests/crash/test_kill.py does it at all of them in a sandbox, `make soak LANE=crash` at all of them on hosts.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.turn import turn

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "playbooks/ansible_collections/edgefleet/fleet/plugins/modules/fleet_bundle.py"
PLACE = "/root/crash-suite"
EVERY = 8
HOSTS = 4
LEAST = {"first": 230, "change": 240, "removal": 160}
"""How many points there are, at least, of which every eighth is one."""


@dataclass(frozen=True)
class Visit:
    """What came of one host."""

    kills: Counter[str]
    wrong: list[str]


def visit(host: Host, start: int, stride: int, stop: int = 0) -> Visit:
    """Bring the suite onto a host and let it kill there: tests/crash/visit.py says what, and from where to where."""
    place = Path(f"{host.root}{PLACE}")
    if not place.exists():
        shutil.copytree(
            ROOT / "tests/crash", place / "tests/crash", ignore=shutil.ignore_patterns("__pycache__", "test_*")
        )
        shutil.copy(MODULE, place / MODULE.name)
    command = ["python3", "-m", "tests.crash.visit", MODULE.name, str(start), str(stride), str(stop)]
    said = host.run(["env", f"--chdir={PLACE}", "PYTHONDONTWRITEBYTECODE=1", *command], timeout=3000)
    found = json.loads(said)
    return Visit(Counter(found["kills"]), [f"{host.name} {one}" for one in found["wrong"]])


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    """A lab of its own: the hosts of the other tests stay as they are."""
    lab = Lab.create()
    try:
        yield lab.grow(HOSTS)
    finally:
        lab.down()


def test_killed_at_every_eighth_point_it_converges(
    hosts: list[Host], record_property: Callable[[str, object], None]
) -> None:
    first = 1 + turn(EVERY)
    with ThreadPoolExecutor(HOSTS) as pool:
        visits = list(pool.map(visit, hosts, range(first, first + EVERY * HOSTS, EVERY), [EVERY * HOSTS] * HOSTS))
    assert [one for visit in visits for one in visit.wrong] == []
    kills = sum((visit.kills for visit in visits), Counter())
    assert all(kills[name] >= least // EVERY for name, least in LEAST.items()), kills
    record_property("kills_on_hosts", sum(kills.values()))
